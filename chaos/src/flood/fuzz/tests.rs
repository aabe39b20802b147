//! The hunt in small.
