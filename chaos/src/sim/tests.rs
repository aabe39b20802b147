//! The simulation in small: runs repeat, hold, and would notice.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{case::Case, defect::Defect, run::run, seeds};
use crate::flood::in_parallel;

#[test]
fn equal_seeds_give_equal_runs() {
    for seed in [7, 8, 9] {
        let case = Case::of(seed, 5);
        let first = run(&case, None);
        let other = std::thread::spawn(move || run(&case, None)).join();
        assert_eq!(other.ok().as_ref(), Some(&first), "seed {seed}");
        assert_ne!(run(&Case::of(seed + 100, 5), None).digest, first.digest);
    }
}

#[test]
fn random_faults_break_no_promise() {
    for seed in 1..=12 {
        let outcome = run(&Case::of(seed, 10), None);
        assert!(
            outcome.violations.is_empty(),
            "chaos sim --seed {seed} --seconds 10: {:?}",
            outcome.violations
        );
        let counts = &outcome.counts;
        assert!(counts.writes > 10 && counts.reads > 5 && counts.compared > 50, "seed {seed}: {counts:?}");
        assert!(counts.admitted > 20 && counts.served > 20, "seed {seed}: {counts:?}");
    }
}

#[test]
fn kept_cases_break_no_promise_any_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/sim");
    let cases = seeds::kept(&folder).unwrap();
    assert!(!cases.is_empty(), "{}", folder.display());
    for (file, case) in cases {
        assert_eq!(run(&case, None).violations, [], "{}", file.display());
    }
}

#[test]
fn every_defect_of_the_world_is_found() {
    is_found(Defect::LyingDisk, 40);
    is_found(Defect::ForgottenMarks, 60);
    is_found(Defect::CheckpointInPlace, 60);
    is_found(Defect::StaleRead, 40);
    is_found(Defect::NodeInApply, 10);
    is_found(Defect::LossyRestore, 20);
    is_found(Defect::ServedBack, 10);
}

#[cfg(feature = "seeded-bugs")]
#[test]
fn every_defect_is_found_in_a_whole_cluster() {
    is_found(Defect::OverAdmit, 60);
}

/// Within so many seeds, by the invariant it belongs to.
fn is_found(defect: Defect, seeds: u64) {
    let (all, is_found) = ((1..=seeds).collect::<Vec<u64>>(), AtomicBool::new(false));
    in_parallel(2, &all, |seed| {
        if !is_found.load(Relaxed) {
            let outcome = run(&Case::of(*seed, 10), Some(defect));
            is_found.fetch_or(outcome.breaks(defect.invariant()), Relaxed);
        }
    });
    let invariant = defect.invariant();
    assert!(is_found.load(Relaxed), "{defect:?} is not found by {invariant:?} in {seeds} seeds");
}
