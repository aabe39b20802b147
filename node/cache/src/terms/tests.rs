//! The situations of RFC 9111 §3 and §4.2 as tables.
