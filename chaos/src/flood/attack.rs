//! A cold flood: from the first moment every node is asked a thousand times a second for each of four limits that nobody has used
//! yet. Owns the bounds on what they are exceeded by.

use comfy_table::{Table, presets};

use super::{
    contestant::Contestant,
    course::{Course, Mix},
    judge::Ending,
    parallel::in_parallel,
};

/// Requests per second of each limit.
const FLOOD: f64 = 12_000.0;
/// The limits.
const LIMITS: usize = 4;
/// What arithmetic may get wrong, in tokens.
const ROUNDING: f64 = 1e-3;
/// Who is flooded.
const FLOODED: [Contestant; 7] = [
    Contestant::Owner,
    Contestant::WindowSlow,
    Contestant::WindowFast,
    Contestant::DriftingFast,
    Contestant::Trickle,
    Contestant::Tidegate,
    Contestant::Strict,
];

/// What is flooded, as a table, and what is exceeded by more than it may be.
pub(crate) fn run(seed: u64, threads: usize) -> (String, Vec<String>) {
    let course = Course {
        keys: LIMITS,
        requests_per_second: FLOOD * LIMITS as f64,
        skew: 0.0,
        settled_s: f64::INFINITY,
        mix: Mix::Attack,
        length_s: 10.0,
        ..Course::reference(seed)
    };
    let all = in_parallel(threads, &FLOODED, |contestant| contestant.run(&course).judge.endings());
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let clock = course.clock();
    let name = |ending: &Ending| format!("RATE {:.0} BURST {:.0}", ending.rate / clock, ending.burst);
    let header = all.first().into_iter().flatten().map(name);
    table.set_header(std::iter::once("TOKENS BEYOND".to_owned()).chain(header).collect::<Vec<_>>());
    let mut broken = Vec::new();
    for (contestant, endings) in FLOODED.iter().zip(&all) {
        let cells = endings.iter().map(|ending| format!("{:.0}", ending.excess));
        table.add_row(std::iter::once(contestant.title().to_owned()).chain(cells).collect::<Vec<_>>());
        for ending in endings {
            if ending.excess > bound(*contestant, &course, ending) + ROUNDING {
                broken.push(format!("{}, {}: {:.1} beyond", contestant.title(), name(ending), ending.excess));
            }
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    (lines.join("\n"), broken)
}

/// Small limits: every node sees a full bucket once, and what accrues until it hears of the others. Large ones: the debt that is allowed until the limit is known to be short, and a
/// token for each node.
fn bound(contestant: Contestant, course: &Course, ending: &Ending) -> f64 {
    let nodes = course.places.nodes() as f64;
    match contestant {
        Contestant::Strict => 0.0,
        Contestant::Tidegate if ending.burst < 8.0 * nodes.log2().ceil().exp2() => nodes * ending.burst,
        Contestant::Tidegate => nodes.max(ending.burst / 4.0) + nodes,
        _ => f64::INFINITY,
    }
}
