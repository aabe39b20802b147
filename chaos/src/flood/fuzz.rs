//! `limits fuzz`: random faults on the product's own limiter until a promise breaks. Owns the hunt; cases are drawn, judged and kept
//! by the modules.

mod case;
mod draw;
mod verdict;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{judge::Figure, parallel::in_parallel, race::Outcome, tidegate::Settings};
pub(crate) use case::{Case, Mode};

/// Runs spent on making a case small.
const SHRINKING_RUNS: usize = 150;

/// What is hunted.
#[derive(Clone, Debug)]
pub(crate) struct Hunt {
    /// Modes, each with `schedules` cases.
    pub(crate) modes: Vec<Mode>,
    /// Cases of each mode.
    pub(crate) schedules: u64,
    /// Seed of the first.
    pub(crate) seed: u64,
    /// Cases at a time.
    pub(crate) threads: usize,
    /// How the product is run.
    pub(crate) settings: Settings,
}

/// A case that breaks a promise.
#[derive(Clone, Debug)]
pub(crate) struct Catch {
    /// Number of the case in its hunt, from 1.
    pub(crate) number: u64,
    /// As small as it got.
    pub(crate) case: Case,
    /// What it breaks.
    pub(crate) complaints: Vec<String>,
}

impl Catch {
    /// As a file.
    pub(crate) fn text(&self) -> String {
        let note = self.complaints.first().cloned().unwrap_or_default();
        toml::to_string(&Case { note, ..self.case.clone() }).unwrap_or_default()
    }

    /// The name of that file.
    pub(crate) fn file_name(&self) -> String {
        format!("{:?}-{}.toml", self.case.mode, self.case.seed).to_lowercase()
    }
}

/// What a hunt found.
#[derive(Clone, Debug)]
pub(crate) struct Bag {
    /// Cases that were run.
    pub(crate) cases: u64,
    /// The first catch of each mode.
    pub(crate) catches: Vec<Catch>,
    /// The lowest fill, in percent.
    pub(crate) fill_min: f64,
}

/// Hunts; ends at the first catch of each mode.
pub(crate) fn hunt(hunt: &Hunt) -> Bag {
    let mut bag = Bag { cases: 0, catches: Vec::new(), fill_min: f64::INFINITY };
    for mode in &hunt.modes {
        let is_over = AtomicBool::new(false);
        let numbers: Vec<u64> = (0..hunt.schedules).collect();
        let results = in_parallel(hunt.threads, &numbers, |number| {
            if is_over.load(Relaxed) {
                return None;
            }
            let case = draw::case(*mode, hunt.seed + number);
            let (complaints, outcome) = verdict::broken(&case, hunt.settings);
            let fill = outcome.map_or(f64::NAN, |outcome| outcome.figures.get(Figure::Fill));
            is_over.fetch_or(!complaints.is_empty(), Relaxed);
            Some((*number, case, complaints, fill))
        });
        for (number, case, complaints, fill) in results.into_iter().flatten() {
            bag.cases += 1;
            bag.fill_min = bag.fill_min.min(fill);
            if !complaints.is_empty() && bag.catches.last().is_none_or(|last| last.case.mode != *mode) {
                bag.catches.push(Catch { number: number + 1, case, complaints });
            }
        }
    }
    bag
}

/// Leaves out faults and bad weather as long as the case still breaks something.
pub(crate) fn shrink(found: Catch, settings: Settings) -> Catch {
    let mut best = found;
    let mut runs = 0;
    let mut tries = |best: &mut Catch, case: Case| {
        runs += 1;
        let complaints = if runs > SHRINKING_RUNS { Vec::new() } else { verdict::broken(&case, settings).0 };
        let is_smaller = !complaints.is_empty();
        if is_smaller {
            *best = Catch { case, complaints, ..best.clone() };
        }
        is_smaller
    };
    let fair = Case { loss: 0.0, duplication: 0.0, reordering: 0.0, ..best.case.clone() };
    tries(&mut best, fair);
    let mut size = best.case.faults.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < best.case.faults.len() {
            let mut case = best.case.clone();
            let to = (from + size).min(case.faults.len());
            case.faults.drain(from..to);
            if !tries(&mut best, case) {
                from += size;
            }
        }
        size /= 2;
    }
    best
}

/// The cases in a file or a folder, by name.
///
/// # Errors
/// What cannot be read or is not a case.
pub(crate) fn kept(path: &Path) -> Result<Vec<(PathBuf, Case)>, String> {
    let mut files = vec![path.to_path_buf()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
        files = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
    }
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let case = toml::from_str(&text).map_err(|e| format!("{}: {e}", file.display()))?;
        Ok((file, case))
    };
    files.into_iter().map(read).collect()
}

/// Runs a kept case again; what it breaks, and how it went.
pub(crate) fn replay(case: &Case, settings: Settings) -> (Vec<String>, Option<Outcome>) {
    verdict::broken(case, settings)
}
