//! Owns how header lines are looked up, wherever they stand: in a map, or in the head as it came.

use http::HeaderMap;
use tidegate_proto::field::Field;

/// Header lines of a request.
pub trait Lines {
    /// The values of the lines of `name`, which is in lower case, in their order.
    fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]>;
}

impl Lines for HeaderMap {
    fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name).iter().map(|value| value.as_bytes())
    }
}

impl Lines for [Field<'_>] {
    fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let same = self.iter().filter(move |field| field.name.eq_ignore_ascii_case(name.as_bytes()));
        same.map(|field| field.value)
    }
}
