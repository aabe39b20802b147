//! Owns which headers of a request make its answer unfit for storing.

/// Whether a header is one.
pub fn is_hazardous(name: &str) -> bool {
    name.starts_with("x-")
}
