//! The house rules, executed: this crate has only tests. `cargo test -p tidegate-tidy` runs them.
