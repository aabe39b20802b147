//! Places are kept, rested and given out again.

use super::*;
use crate::limit::Policy;

fn rate(burst: f64) -> Spec {
    Spec::rate(10.0, burst, Policy::default(), 3)
}

#[test]
fn a_limit_keeps_its_place() {
    let (a, b) = (Name::of("a"), Name::of("b"));
    let mut builder = Index::default().succeed(3, 0);
    let first = builder.declare(a, Some(("plan", rate(100.0))), None).unwrap();
    let second = builder.declare(b, Some(("plan", rate(100.0))), None).unwrap();
    assert_ne!(first.cell, second.cell);
    let index = builder.finish();
    assert_eq!(index.find(a.limit(Kind::Slice)), Some((first.cell, first.rate)));
    assert_eq!(index.find(a.limit(Kind::Count)), None);

    let mut builder = index.succeed(3, 1);
    let again = builder.declare(b, Some(("plan", rate(200.0))), None).unwrap();
    let index = builder.finish();
    assert_eq!((again.cell, again.rate), (second.cell, second.rate));
    assert_eq!((index.len(), index.spec(b.limit(Kind::Slice)).unwrap().burst), (1, 200.0));
    assert!(index.find(a.limit(Kind::Slice)).is_none());

    let mut builder = index.succeed(3, 2);
    let soon = builder.declare(Name::of("c"), Some(("other", rate(100.0))), None).unwrap();
    assert_ne!(soon.cell, first.cell, "the place of a limit that has just gone rests");
    let mut builder = builder.finish().succeed(3, REST_NS + 1);
    let later = builder.declare(Name::of("d"), Some(("other", rate(100.0))), None).unwrap();
    assert_eq!(later.cell, first.cell);
}

#[test]
fn another_kind_is_another_limit() {
    let name = Name::of("a");
    let mut builder = Index::default().succeed(3, 0);
    let large = builder.declare(name, Some(("plan", rate(100.0))), None).unwrap();
    let mut builder = builder.finish().succeed(3, 1);
    let small = builder.declare(name, Some(("plan", rate(5.0))), None).unwrap();
    assert!(large.cell != small.cell && large.rate != small.rate);
}

#[test]
fn a_million_limits_fit_into_64_mib() {
    let per_limit = size_of::<crate::cell::Cell>() + size_of::<Entry>() + size_of::<u32>();
    assert!(per_limit * 1_000_000 <= 64 << 20, "{per_limit} bytes each");
}
