//! Runs the corpus: every case in one piece and in several, in both planes, against what its table says and against each other.

use std::{fmt::Write, io, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    case::Case,
    corpus::{self, Entry},
    lane::Lane,
};

/// Longer than anything waits that is as it must be.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a case is sent in pieces.
const SPLITS: usize = 4;

/// What is not as it must be among the cases whose names contain `part`, and how many were run.
///
/// # Errors
/// When the planes cannot be started or the tables cannot be read.
pub(crate) async fn complaints(part: &str) -> io::Result<(Vec<String>, usize)> {
    let entries = corpus::entries().map_err(io::Error::other)?;
    let lane = Lane::start().await?;
    let (mut complaints, mut runs) = (Vec::new(), 0);
    for entry in entries.iter().filter(|entry| entry.name.contains(part)) {
        for case in splits(entry) {
            runs += 1;
            if let Some(complaint) = complaint(&lane, entry, &case).await {
                complaints.push(complaint);
                break;
            }
        }
    }
    Ok((complaints, runs))
}

/// The case in one piece, and in several whose ends only its name decides.
fn splits(entry: &Entry) -> Vec<Case> {
    let length = entry.case.bytes.len();
    let seed = entry.name.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let mut random = StdRng::seed_from_u64(seed);
    let mut all = vec![Vec::new()];
    for pieces in 1..=SPLITS {
        let mut cuts: Vec<usize> = (0..pieces).map(|_| random.random_range(0..=length)).collect();
        cuts.sort_unstable();
        all.push(cuts);
    }
    all.into_iter().map(|cuts| Case { cuts, ..entry.case.clone() }).collect()
}

async fn complaint(lane: &Lane, entry: &Entry, case: &Case) -> Option<String> {
    let outcomes = lane.run(case, &entry.manners(), PATIENCE).await;
    let (direct, general) = (outcomes.direct.text(), outcomes.general.text());
    let mut text = String::new();
    for (plane, outcome) in [("fast", &outcomes.direct), ("general", &outcomes.general)] {
        for complaint in entry.complaints(outcome) {
            let _ = writeln!(text, "  {plane}: {complaint}");
        }
    }
    if direct != general {
        let _ = writeln!(text, "  they differ, fast:\n{direct}  general:\n{general}");
    }
    (!text.is_empty()).then(|| format!("{}, pauses after {:?}\n{text}", entry.name, case.cuts))
}
