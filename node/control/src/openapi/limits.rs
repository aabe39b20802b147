//! Bounds that only OpenAPI documents have; the others are in `tidegate_proto::limits`.

/// Deepest nesting of a document; hand-written schemas stay below 30.
pub(crate) const DEPTH_MAX: usize = 96;
/// Most values in one YAML document; 6 MB of an API with every field in use hold half of it.
pub(crate) const YAML_NODES_MAX: usize = 750_000;
/// Most bytes that YAML aliases may add to a document; far more than shared snippets of a real document need.
pub(crate) const YAML_REPLAYED_EVENTS_MAX: usize = 50_000;
/// Most bytes of text in one document after its aliases are expanded.
pub(crate) const YAML_TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most `$ref`s followed from one place before it counts as a cycle.
pub(crate) const REFERENCE_HOPS_MAX: usize = 16;
/// Most bytes that a document may come to when its references are followed wherever they stand.
pub(crate) const EXPANDED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most warnings and most errors that are listed; the rest are counted.
pub(crate) const NOTES_MAX: usize = 200;
/// Longest text quoted from a document inside a message, in characters.
pub(crate) const QUOTE_CHARS_MAX: usize = 120;
/// Longest implicit key of a YAML mapping, in bytes as written; YAML allows 1,024 characters (1.2.2, 7.4.2).
pub(crate) const YAML_KEY_BYTES_MAX: usize = 512;
/// Longest path, and longest part of a server's URL, in bytes; bounds what all ancestors of a path take.
pub(crate) const PATH_BYTES_MAX: usize = 2_048;
