//! Bounds on templates and on what one rendering may cost. Owns the numbers that are not part of a [`crate::Budget`].

/// Longest template that is parsed, in bytes (API Gateway's own ceiling).
pub const TEMPLATE_BYTES_MAX: usize = 300 * 1024;
/// Deepest nesting of blocks, expressions, interpolated strings and brackets in a template.
pub const SYNTAX_DEPTH_MAX: usize = 48;
/// Deepest nesting of a body, and of a value that is printed or compared.
pub const VALUE_DEPTH_MAX: usize = 96;
/// Deepest chain of macro calls (Velocity's own default).
pub const MACRO_DEPTH_MAX: usize = 20;
/// How often a `#define` block may render itself (Velocity's own default).
pub const DEFINE_DEPTH_MAX: usize = 2;
/// Deepest nesting of rendered blocks and evaluated expressions together.
pub const RENDER_DEPTH_MAX: usize = 256;
/// Longest regular expression that a template may use, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1024;
/// Memory one compiled regular expression may take, in bytes.
pub const PATTERN_MEMORY_BYTES_MAX: usize = 1 << 20;
/// Longest JSON path expression, in bytes.
pub const PATH_BYTES_MAX: usize = 4096;
/// Nodes one JSON path may visit.
pub const PATH_VISITS_MAX: usize = 1_000_000;
/// Most integers one `[a..b]` may hold.
pub const RANGE_LENGTH_MAX: u64 = 100_000;
