//! The control plane of a node; this branch holds its OpenAPI import and export only.

pub mod openapi;
