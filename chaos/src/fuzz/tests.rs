//! The corpus as a test, and a few cases of the generator.

use super::*;

#[test]
fn the_corpus_is_large_and_its_names_are_unique() {
    let entries = corpus::entries().unwrap();
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() == entries.len() && names.len() >= 150, "{} of {}", names.len(), entries.len());
}

#[test]
fn both_planes_do_what_the_corpus_says_and_the_same() {
    let (complaints, _) = on_runtime(known::complaints("")).unwrap().unwrap();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_seed_and_a_number_make_a_case() {
    let race = |seed| Race {
        options: FuzzOptions { seed, time: Duration::ZERO, cases: 0, first: 0, lanes: 0 },
        entries: corpus::entries().unwrap(),
        next: AtomicU64::new(0),
        cases: AtomicU64::new(0),
        requests: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        deadline: Instant::now(),
    };
    let (one, same, other) = (race(1), race(1), race(2));
    assert!((0..200).all(|number| one.case(number) == same.case(number)));
    assert!((0..200).any(|number| one.case(number) != other.case(number)));
}

#[test]
fn generated_cases_do_not_differ() {
    let options = FuzzOptions { seed: 1, time: Duration::from_secs(20), cases: 300, first: 0, lanes: 2 };
    let report = run(options).unwrap();
    assert!(report.found.is_none() && report.cases == 300, "{}", report.text(1));
}
