//! The whole simulator in small: the comparison with its demands, the hunt, and the schedules that were kept.

use std::path::Path;

use super::{
    contestant::Contestant,
    course::Course,
    fuzz::{self, Hunt, Mode},
    judge::Figure,
    moment::MS,
    scenario::Scenario,
    tidegate::Settings,
};

/// Half the nodes, a fifth of the clients and a tenth of the requests.
fn small(scenario: Scenario, seed: u64) -> Course {
    let mut course = scenario.course(seed);
    course.places.nodes_per_zone = 2;
    course.keys /= 5;
    course.requests_per_second /= 10.0;
    for fault in &mut course.faults {
        fault.at_ms /= 3;
    }
    course.length_s /= 3.0;
    course
}

fn looking() -> Settings {
    Settings { look_ns: 20 * MS, ..Settings::default() }
}

#[test]
fn strict_limits_and_quotas_are_never_exceeded() {
    for (scenario, contestant) in Scenario::RATES
        .map(|s| (s, Contestant::Strict))
        .into_iter()
        .chain(Scenario::QUOTAS.map(|s| (s, Contestant::Tidegate)))
        .chain(Scenario::GLOBAL.map(|s| (s, Contestant::Strict)))
    {
        let outcome = contestant.run(&small(scenario, 7));
        assert_eq!(outcome.figures.get(Figure::ExcessTokens), 0.0, "{scenario:?}");
        assert_eq!(outcome.figures.get(Figure::Over), 0.0, "{scenario:?}");
        assert_eq!(outcome.complaints, Vec::<String>::new(), "{scenario:?}");
    }
}

#[test]
fn limits_as_they_come_are_used_and_hardly_exceeded() {
    for (scenario, over, fill) in [
        (Scenario::S1, 0.6, 97.0),
        (Scenario::S2, 2.0, 93.0),
        (Scenario::S3, 2.0, 91.0),
        (Scenario::S5, 0.8, 96.0),
        (Scenario::G1, 0.3, 93.0),
        (Scenario::G2, 0.3, 93.0),
        (Scenario::G3, 33.0, 88.0),
    ] {
        let figures = Contestant::Tidegate.run(&small(scenario, 7)).figures;
        let found = (figures.get(Figure::Over), figures.get(Figure::Fill));
        assert!(found.0 <= over && found.1 >= fill, "{scenario:?}: over and fill {found:?}");
    }
}

#[test]
fn a_seed_repeats_its_run() {
    let run = || Contestant::Tidegate.run(&small(Scenario::S5, 3)).figures.cells();
    assert_eq!(run(), run());
}

#[test]
fn the_limiters_of_others_are_what_they_are_known_for() {
    let run = |contestant: Contestant, scenario| contestant.run(&small(scenario, 7)).figures;
    let exact = run(Contestant::Central, Scenario::S1);
    assert_eq!((exact.get(Figure::Over), exact.get(Figure::Fill).round()), (0.0, 100.0));
    assert!(exact.get(Figure::WaitP50) > 1.0);
    assert!(run(Contestant::Full, Scenario::S1).get(Figure::Over) > 20.0);
    let split = run(Contestant::Split, Scenario::S1).get(Figure::Fill);
    let ours = run(Contestant::Tidegate, Scenario::S1).get(Figure::Fill);
    assert!(split + 2.0 < ours, "{split} and {ours}");
    assert_eq!(run(Contestant::Split, Scenario::S4).get(Figure::Over), 0.0);
    assert!(run(Contestant::Central, Scenario::S4).get(Figure::Over) > 5.0);
    assert!(run(Contestant::Owner, Scenario::S4).get(Figure::Over) > 2.0);
    let slow = run(Contestant::WindowSlow, Scenario::S1).get(Figure::Over);
    assert!(slow > run(Contestant::WindowFast, Scenario::S1).get(Figure::Over));
    assert!(run(Contestant::DriftingFast, Scenario::S1).get(Figure::Over) < slow);
    assert!(run(Contestant::Trickle, Scenario::S1).get(Figure::Over) > 5.0);
    assert!(run(Contestant::Central, Scenario::G1).get(Figure::WaitP99) > 15.0);
    let flat = run(Contestant::Flat, Scenario::G1);
    assert_eq!(flat.get(Figure::Over), 0.0);
}

/// Random faults against every second mode, by what is over when their places are divided by two.
fn random_faults_break_no_promise(rest: usize) {
    let modes: Vec<Mode> = Mode::ALL.into_iter().skip(rest).step_by(2).collect();
    let cases = 12 * modes.len() as u64;
    let bag = fuzz::hunt(&Hunt { modes, schedules: 12, seed: 500_000, threads: 2, settings: looking() });
    assert_eq!(bag.cases, cases);
    assert!(bag.catches.is_empty(), "{:?}", bag.catches);
}

#[test]
fn random_faults_break_no_promise_of_even_modes() {
    random_faults_break_no_promise(0);
}

#[test]
fn random_faults_break_no_promise_of_odd_modes() {
    random_faults_break_no_promise(1);
}

#[test]
fn kept_schedules_break_no_promise_any_more() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/limits");
    let cases = fuzz::kept(&corpus).unwrap();
    assert!(cases.len() >= 5, "{} schedules in {}", cases.len(), corpus.display());
    for (file, case) in cases {
        assert_eq!(fuzz::replay(&case, looking()).0, Vec::<String>::new(), "{}", file.display());
    }
}

/// How many schedules of each mode it may take until a defect is found.
#[cfg(feature = "seeded-bugs")]
#[test]
fn every_defect_is_found() {
    use super::verbs::Defect;
    for (defect, mode, schedules) in [
        (Defect::ExpireEarly, Mode::Strict, 20),
        (Defect::GrowBeforeAck, Mode::Strict, 20),
        (Defect::CreditTwice, Mode::Quota, 20),
        (Defect::CreditTwice, Mode::Strict, 20),
        (Defect::IgnoreExpiry, Mode::Strict, 40),
        (Defect::GrowBeforeAck, Mode::Global, 20),
        (Defect::ConfirmEarly, Mode::Global, 20),
    ] {
        let mut settings = looking();
        settings.timing.bug = Some(defect.bug());
        let hunt = Hunt { modes: vec![mode], schedules, seed: 1, threads: 2, settings };
        let bag = fuzz::hunt(&hunt);
        assert_eq!(bag.catches.len(), 1, "{defect:?} in {mode:?}, {schedules} schedules");
    }
    // Needs a region that is cut off for long, which is drawn seldom.
    let file = "corpus/limits/region-cut-off-for-longer-than-its-lease.toml";
    let cases = fuzz::kept(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let mut settings = looking();
    settings.timing.bug = Some(Defect::OutliveRegion.bug());
    assert!(cases.iter().all(|(_, case)| !fuzz::replay(case, settings).0.is_empty()), "{file}");
}
