//! Owns what an answer tells caches (RFC 9111 §5.2.2, RFC 5861). Must never weigh it against other headers.

use http::{HeaderMap, HeaderName, header::CACHE_CONTROL};

use super::{Argument, Directive, directives, field_names, targeted};

/// What of an answer a `private` or `no-cache` concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Nothing: the directive is not there.
    #[default]
    Nothing,
    /// These headers.
    Fields(Vec<HeaderName>),
    /// All of it.
    Everything,
}

/// What an answer tells caches. Restrictions hold however they are written; a number of seconds that is written wrong, or twice
/// in different ways, is 0, which makes the answer stale (RFC 9111 §4.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseDirectives {
    /// The answer must not be stored (§5.2.2.5).
    pub no_store: bool,
    /// What must not be used without validation (§5.2.2.4).
    pub no_cache: Scope,
    /// What a shared cache must not store (§5.2.2.7).
    pub private: Scope,
    /// The answer may be stored although something else speaks against it (§5.2.2.9).
    pub public: bool,
    /// A stale answer must not be used without validation (§5.2.2.2).
    pub must_revalidate: bool,
    /// The same, for shared caches (§5.2.2.8).
    pub proxy_revalidate: bool,
    /// Only a cache that knows the status may store the answer (§5.2.2.3).
    pub must_understand: bool,
    /// The body must not be changed (§5.2.2.6).
    pub no_transform: bool,
    /// Life of the answer, in seconds (§5.2.2.1).
    pub max_age: Option<u64>,
    /// The same, for shared caches (§5.2.2.10).
    pub s_maxage: Option<u64>,
    /// For how long a stale answer may be used while it is validated, in seconds (RFC 5861 §3).
    pub stale_while_revalidate: Option<u64>,
    /// For how long a stale answer may be used while the origin fails, in seconds (RFC 5861 §4).
    pub stale_if_error: Option<u64>,
    /// Whether they come from CDN-Cache-Control; Expires does not count then (RFC 9213 §2.2).
    pub is_targeted: bool,
}

impl ResponseDirectives {
    /// Reads the headers of an answer: CDN-Cache-Control if there is a valid one, Cache-Control otherwise.
    pub fn read(headers: &HeaderMap) -> Self {
        if let Some(targeted) = targeted::read(headers) {
            return targeted;
        }
        let mut read = Self::default();
        for directive in directives(headers, &CACHE_CONTROL) {
            read.add(&directive);
        }
        read
    }

    fn add(&mut self, directive: &Directive<'_>) {
        if let Some(flag) = self.flag(directive.name) {
            *flag = true;
        } else if let Some(seconds) = self.seconds(directive.name) {
            let new = directive.argument.delta_s().unwrap_or(0);
            *seconds = Some(seconds.map_or(new, |old| if old == new { new } else { 0 }));
        } else if let Some(scope) = self.scope(directive.name) {
            scope.add(Scope::of(directive.argument));
        } else if directive.is("public") && directive.argument == Argument::Absent {
            self.public = true;
        }
    }

    /// The restriction of that name that has no argument.
    pub(super) fn flag(&mut self, name: &[u8]) -> Option<&mut bool> {
        pick(
            name,
            [
                ("no-store", &mut self.no_store),
                ("must-revalidate", &mut self.must_revalidate),
                ("proxy-revalidate", &mut self.proxy_revalidate),
                ("must-understand", &mut self.must_understand),
                ("no-transform", &mut self.no_transform),
            ],
        )
    }

    /// The number of seconds of that name.
    pub(super) fn seconds(&mut self, name: &[u8]) -> Option<&mut Option<u64>> {
        pick(
            name,
            [
                ("max-age", &mut self.max_age),
                ("s-maxage", &mut self.s_maxage),
                ("stale-while-revalidate", &mut self.stale_while_revalidate),
                ("stale-if-error", &mut self.stale_if_error),
            ],
        )
    }

    /// The restriction of that name that may be limited to headers.
    pub(super) fn scope(&mut self, name: &[u8]) -> Option<&mut Scope> {
        pick(name, [("no-cache", &mut self.no_cache), ("private", &mut self.private)])
    }
}

fn pick<'a, T, const N: usize>(name: &[u8], slots: [(&str, &'a mut T); N]) -> Option<&'a mut T> {
    slots.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())).map(|(_, slot)| slot)
}

impl Scope {
    /// What an argument limits a directive to; everything if it cannot be read.
    pub(super) fn of(argument: Argument<'_>) -> Self {
        match argument {
            Argument::Text(text) => field_names(text).map_or(Self::Everything, Self::Fields),
            Argument::Absent | Argument::Broken => Self::Everything,
        }
    }

    /// Whether it is limited to headers, and `name` is one of them.
    pub fn names(&self, name: &HeaderName) -> bool {
        matches!(self, Self::Fields(names) if names.contains(name))
    }

    fn add(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Fields(names), Self::Fields(more)) => names.extend(more),
            (Self::Nothing, other) | (_, other @ Self::Everything) => *self = other,
            (Self::Everything, _) | (Self::Fields(_), Self::Nothing) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rig::headers;

    fn fields(names: &[&'static str]) -> Scope {
        Scope::Fields(names.iter().map(|name| HeaderName::from_static(name)).collect())
    }

    fn read(values: &[&str]) -> ResponseDirectives {
        let lines: Vec<(&str, &str)> = values.iter().map(|value| ("cache-control", *value)).collect();
        ResponseDirectives::read(&headers(&lines))
    }

    #[test]
    fn freshness_is_doubted() {
        for (values, max_age, s_maxage) in [
            (&["max-age=3600"][..], Some(3_600), None),
            (&["MaX-aGe=3600"], Some(3_600), None),
            (&["foobar, max-age=3600"], Some(3_600), None),
            (&["max-age=003600"], Some(3_600), None),
            (&[r#"max-age="3600""#], Some(3_600), None),
            (&["max-age=0, s-maxage=3600"], Some(0), Some(3_600)),
            (&["max-age=3600", "s-maxage=1"], Some(3_600), Some(1)),
            (&["max-age=-3600"], Some(0), None),
            (&["max-age='3600'"], Some(0), None),
            (&["max-age=3600.0"], Some(0), None),
            (&["max-age=a3600"], Some(0), None),
            (&["max-age=3600a"], Some(0), None),
            (&["max-age =3600"], Some(0), None),
            (&["max-age= 3600"], Some(0), None),
            (&["max-age"], Some(0), None),
            (&["max-age=1800, max-age=1"], Some(0), None),
            (&["max-age=1", "max-age=1800"], Some(0), None),
            (&["max-age=60, max-age=60"], Some(60), None),
            (&[r#"extension="max-age=3600", max-age=1"#], Some(1), None),
            (&[r#"max-age=1, extension="max-age=3600""#], Some(1), None),
            (&[r#"extension="max-age=3600", max-age="1""#], Some(1), None),
            (&[r#"extension="max-age=3600"#], None, None),
            (&["s-maxage=x"], None, Some(0)),
        ] {
            let read = read(values);
            assert_eq!((read.max_age, read.s_maxage), (max_age, s_maxage), "{values:?}");
        }
    }

    #[test]
    fn restrictions_hold_however_they_are_written() {
        let none = ResponseDirectives::default();
        let everything = || Scope::Everything;
        for (values, expect) in [
            (&["No-StOrE"][..], ResponseDirectives { no_store: true, ..none.clone() }),
            (&["no-store=1"], ResponseDirectives { no_store: true, ..none.clone() }),
            (&["no-store ;x"], ResponseDirectives { no_store: true, ..none.clone() }),
            (&[r#"x="a, no-store"#], ResponseDirectives { no_store: true, ..none.clone() }),
            (&[r#"x="a, no-store""#], none.clone()),
            (&["No-CaChE"], ResponseDirectives { no_cache: everything(), ..none.clone() }),
            (&[r#"no-cache="a, b""#], ResponseDirectives { no_cache: fields(&["a", "b"]), ..none.clone() }),
            (&["no-cache=a"], ResponseDirectives { no_cache: fields(&["a"]), ..none.clone() }),
            (
                &[r#"no-cache="a""#, r#"no-cache="b""#],
                ResponseDirectives { no_cache: fields(&["a", "b"]), ..none.clone() },
            ),
            (&[r#"no-cache="a", no-cache"#], ResponseDirectives { no_cache: everything(), ..none.clone() }),
            (&[r#"private, private="a""#], ResponseDirectives { private: everything(), ..none.clone() }),
            (&[r#"private="a b""#], ResponseDirectives { private: everything(), ..none.clone() }),
            (&[r#"private="""#], ResponseDirectives { private: everything(), ..none.clone() }),
            (&["public"], ResponseDirectives { public: true, ..none.clone() }),
            (&["public=x"], none.clone()),
            (
                &["must-revalidate, proxy-revalidate", "must-understand, no-transform"],
                ResponseDirectives {
                    must_revalidate: true,
                    proxy_revalidate: true,
                    must_understand: true,
                    no_transform: true,
                    ..none.clone()
                },
            ),
            (
                &["stale-while-revalidate=30, stale-if-error=60"],
                ResponseDirectives {
                    stale_while_revalidate: Some(30),
                    stale_if_error: Some(60),
                    ..none.clone()
                },
            ),
        ] {
            assert_eq!(read(values), expect, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn a_restriction_cannot_be_hidden_behind_an_open_quote(before in r#"[a-z=\\]{0,9}"[a-z= \\]{0,20}"#) {
            let value = format!("{before}, no-store");
            prop_assert!(read(&[&value]).no_store);
        }
    }
}
