//! Named health checks and their rendering for `/livez` and `/readyz`, in the style of Kubernetes. No HTTP here.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::CHECKS_MAX;

type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Which question is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Probe {
    /// `/livez`: should this process be restarted?
    Live,
    /// `/readyz`: should it get traffic?
    Ready,
}

impl Probe {
    /// The name used in texts and paths.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "livez",
            Self::Ready => "readyz",
        }
    }
}

/// The answer to a probe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// Whether every check passed.
    pub is_healthy: bool,
    /// Plain text.
    pub text: String,
}

impl Report {
    /// The HTTP status: 200 or 503.
    pub const fn status(&self) -> u16 {
        if self.is_healthy { 200 } else { 503 }
    }
}

struct Entry {
    probe: Probe,
    name: &'static str,
    check: Check,
}

/// The checks of a node; cloning shares them.
#[derive(Clone, Default)]
pub struct Checks(Arc<Mutex<Vec<Entry>>>);

impl fmt::Debug for Checks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Checks").finish_non_exhaustive()
    }
}

impl Checks {
    /// No checks: healthy.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check, in the order of reporting; one with the same probe and name is replaced. It must not block and must not
    /// depend on upstreams. At most [`CHECKS_MAX`] are kept.
    pub fn add(
        &self,
        probe: Probe,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let check: Check = Arc::new(check);
        let is_full = entries.len() >= CHECKS_MAX;
        match entries.iter_mut().find(|entry| entry.probe == probe && entry.name == name) {
            Some(entry) => entry.check = check,
            None if is_full => tracing::error!(name, "too many health checks, check not added"),
            None => entries.push(Entry { probe, name, check }),
        }
    }

    /// Runs the checks of a probe, leaving out those named in `excluded`. Reasons are shown only when `is_verbose`.
    pub fn report(&self, probe: Probe, is_verbose: bool, excluded: &[&str]) -> Report {
        let checks: Vec<(&'static str, Check)> = {
            let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = entries.iter().filter(|entry| entry.probe == probe);
            asked.map(|entry| (entry.name, Arc::clone(&entry.check))).collect()
        };
        let outcomes: Vec<Outcome> = checks
            .into_iter()
            .map(|(name, check)| Outcome { name, result: (!excluded.contains(&name)).then(|| check()) })
            .collect();
        render(probe, is_verbose, &outcomes)
    }
}

/// One check after it ran; `None` when it was left out.
struct Outcome {
    name: &'static str,
    result: Option<Result<(), String>>,
}

fn render(probe: Probe, is_verbose: bool, outcomes: &[Outcome]) -> Report {
    let is_healthy = !outcomes.iter().any(|outcome| matches!(outcome.result, Some(Err(_))));
    if is_healthy && !is_verbose {
        return Report { is_healthy, text: "ok".to_owned() };
    }
    let mut text = String::new();
    for Outcome { name, result } in outcomes {
        text.push_str(&match result {
            None => format!("[+]{name} excluded: ok\n"),
            Some(Ok(())) => format!("[+]{name} ok\n"),
            Some(Err(reason)) if is_verbose => format!("[-]{name} failed: {}\n", one_line(reason)),
            Some(Err(_)) => format!("[-]{name} failed: reason withheld\n"),
        });
    }
    let verdict = if is_healthy { "passed" } else { "failed" };
    text.push_str(&format!("{} check {verdict}\n", probe.name()));
    Report { is_healthy, text }
}

/// A reason must not imitate another check's line.
fn one_line(reason: &str) -> String {
    reason.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_read_like_those_of_kubernetes() {
        let checks = Checks::new();
        checks.add(Probe::Live, "ping", || Ok(()));
        checks.add(Probe::Ready, "raft", || Ok(()));
        checks.add(Probe::Ready, "snapshot", || Err("none\n[+]fake ok".to_owned()));
        for (probe, is_verbose, excluded, status, text) in [
            (Probe::Live, false, &[][..], 200, "ok"),
            (Probe::Live, true, &[], 200, "[+]ping ok\nlivez check passed\n"),
            (
                Probe::Ready,
                false,
                &[],
                503,
                "[+]raft ok\n[-]snapshot failed: reason withheld\nreadyz check failed\n",
            ),
            (
                Probe::Ready,
                true,
                &[],
                503,
                "[+]raft ok\n[-]snapshot failed: none [+]fake ok\nreadyz check failed\n",
            ),
            (
                Probe::Ready,
                true,
                &["snapshot"],
                200,
                "[+]raft ok\n[+]snapshot excluded: ok\nreadyz check passed\n",
            ),
        ] {
            let report = checks.report(probe, is_verbose, excluded);
            assert_eq!((report.status(), report.text.as_str()), (status, text));
        }
    }

    #[test]
    fn a_check_can_be_replaced() {
        let checks = Checks::new();
        checks.add(Probe::Ready, "drain", || Ok(()));
        checks.add(Probe::Ready, "drain", || Err("draining".to_owned()));
        assert!(!checks.report(Probe::Ready, false, &[]).is_healthy);
    }
}
