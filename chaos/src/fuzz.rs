//! `fuzz http1`: the two ways through the data plane against each other. The same bytes go into a gateway with the fast path and
//! into one without, each in front of a recording upstream; both must send the same requests upstream and give the client the
//! same answers, in the canonical form of [`message`], and close or not close alike.
//!
//! A seed and a number make a case; several lanes take the next number each. What differs is tried again alone, in fresh
//! planes, with more patience: what then no longer differs was a matter of time (a peer that closes meets a peer that sends)
//! and is only counted.

mod case;
mod client;
mod corpus;
mod grammar;
mod known;
mod lane;
mod message;
mod mutate;
mod notation;
pub(crate) mod property;
mod shrink;
mod upstream;

use std::{
    fmt::Write,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use case::{Case, Manner, Manners};
use lane::{Lane, Outcome, Outcomes};

/// Longest wait of one case while many run.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest wait of one case that is tried again alone.
const PATIENCE_ALONE: Duration = Duration::from_secs(6);
/// How often what differs is tried again; it counts when it differs each time.
const TRIES: usize = 3;
/// How many cases may differ once and not again before that is itself an error.
const FLEETING_MAX: usize = 20;
/// Time for making a case small.
const SHRINKING: Duration = Duration::from_secs(30);
/// Odd multiplier that spreads numbers of cases over seeds. Source: the golden ratio in 64 bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// How to fuzz.
#[derive(Clone, Debug)]
pub(crate) struct FuzzOptions {
    /// Decides every case.
    pub(crate) seed: u64,
    /// Time after which no case is begun.
    pub(crate) time: Duration,
    /// Cases at most.
    pub(crate) cases: u64,
    /// Number of the first case.
    pub(crate) first: u64,
    /// Cases at a time.
    pub(crate) lanes: usize,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct FuzzReport {
    pub(crate) cases: u64,
    pub(crate) requests: u64,
    pub(crate) took: Duration,
    /// Cases that differed once and not again, each with where.
    pub(crate) fleeting: Vec<String>,
    /// The first difference, ready to be printed.
    pub(crate) found: Option<String>,
}

/// What is wrong with the outcomes of a case.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    /// Can be a matter of time.
    #[error("{0}")]
    Differs(String),
    /// Must not be, whatever the time.
    #[error("{0}")]
    Never(String),
}

/// What the lanes share.
struct Race {
    options: FuzzOptions,
    entries: Vec<corpus::Entry>,
    next: AtomicU64,
    cases: AtomicU64,
    requests: AtomicU64,
    is_over: AtomicBool,
    deadline: Instant,
}

/// Fuzzes until time or cases run out, or a difference is found.
///
/// # Errors
/// When the planes cannot be started.
pub(crate) fn run(options: FuzzOptions) -> Result<FuzzReport, String> {
    let began = Instant::now();
    let race = Arc::new(Race {
        entries: corpus::entries()?,
        next: AtomicU64::new(options.first),
        cases: AtomicU64::new(0),
        requests: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        deadline: began + options.time,
        options,
    });
    let (report, suspects) = mpsc::channel();
    let lanes: Vec<_> = (0..race.options.lanes)
        .map(|_| {
            let (race, report) = (Arc::clone(&race), report.clone());
            thread::spawn(move || on_runtime(race.race(&report)).and_then(|raced| raced))
        })
        .collect();
    drop(report);
    let (mut fleeting, mut found) = (Vec::new(), None);
    for (number, wrong) in suspects {
        if found.is_some() {
            continue;
        }
        eprintln!("case {number}: {wrong}; tried again alone");
        let judged = on_runtime(race.judge(number)).and_then(|judged| judged);
        found = judged.map_err(|error| error.to_string())?;
        if found.is_none() {
            fleeting.push(format!("case {number}: {wrong}"));
            if matches!(wrong, Wrong::Never(_)) || fleeting.len() > FLEETING_MAX {
                found = Some("WRONG, and not again in planes of its own: what came before may matter".into());
            }
        }
        race.is_over.fetch_or(found.is_some(), Relaxed);
    }
    for lane in lanes {
        lane.join().map_err(|_| "a lane died")?.map_err(|error| error.to_string())?;
    }
    let (cases, requests) = (race.cases.load(Relaxed), race.requests.load(Relaxed));
    Ok(FuzzReport { cases, requests, took: began.elapsed(), fleeting, found })
}

/// Runs the cases of the corpus whose names contain `part`; gives back what is wrong and how many runs that took.
///
/// # Errors
/// When the planes cannot be started.
pub(crate) fn run_corpus(part: &str) -> Result<(Vec<String>, usize), String> {
    on_runtime(known::complaints(part)).and_then(|run| run).map_err(|error| error.to_string())
}

impl FuzzReport {
    /// For people.
    pub(crate) fn text(&self, seed: u64) -> String {
        let seconds = self.took.as_secs_f64();
        let mut text = format!(
            "fuzz http1, seed {seed}: {} cases in {seconds:.1} s ({:.0} per second), {} requests arrived upstream\n",
            self.cases,
            self.cases as f64 / seconds,
            self.requests,
        );
        for one in &self.fleeting {
            let _ = writeln!(text, "differed once and not again: {one}");
        }
        text.push_str(self.found.as_deref().unwrap_or("no difference"));
        text
    }
}

impl Race {
    /// Takes case after case; what differs is reported.
    async fn race(&self, report: &mpsc::Sender<(u64, Wrong)>) -> io::Result<()> {
        let lane = Lane::start().await?;
        while !self.is_over.load(Relaxed) && Instant::now() < self.deadline {
            let number = self.next.fetch_add(1, Relaxed);
            if number - self.options.first >= self.options.cases {
                break;
            }
            let case = self.case(number);
            let manners = Manners::foresee(&case.bytes);
            let outcomes = lane.run(&case, &manners, PATIENCE).await;
            self.cases.fetch_add(1, Relaxed);
            self.requests.fetch_add(outcomes.direct.requests.len() as u64, Relaxed);
            if let Some(wrong) = complaint(&case, &manners, &outcomes) {
                // The receiver outlives the lanes.
                let _ = report.send((number, wrong));
            }
        }
        Ok(())
    }

    /// The case of a number.
    fn case(&self, number: u64) -> Case {
        let mut random = StdRng::seed_from_u64(self.options.seed ^ number.wrapping_mul(SPREAD));
        let of_corpus = random.random_range(0..100) < 40;
        let mut case = match self.entries.choose(&mut random).filter(|_| of_corpus) {
            // What is never answered takes its time, and the corpus has it already.
            Some(entry) if entry.case.scripts.iter().all(|script| script.manner == Manner::Usual) => {
                entry.case.clone()
            }
            _ => grammar::case(&mut random),
        };
        if of_corpus || random.random_range(0..100) < 30 {
            mutate::mutate(&mut random, &mut case.bytes);
        }
        case.cuts = mutate::cuts(&mut random, &case.bytes);
        case
    }

    /// Tries a case again alone; describes it, made small, if it differs still.
    async fn judge(&self, number: u64) -> io::Result<Option<String>> {
        let case = self.case(number);
        for _ in 0..TRIES {
            if !is_wrong(&Lane::start().await?, &case).await {
                return Ok(None);
            }
        }
        let lane = Lane::start().await?;
        // Twice, so that what differs now and then does not lead astray.
        let latest = Instant::now() + SHRINKING;
        let is_surely_wrong = async |case: &Case| {
            Instant::now() < latest && is_wrong(&lane, case).await && is_wrong(&lane, case).await
        };
        let small = shrink::shrink(case, is_surely_wrong).await;
        let manners = Manners::foresee(&small.bytes);
        let outcomes = lane.run(&small, &manners, PATIENCE_ALONE).await;
        let reason = complaint(&small, &manners, &outcomes)
            .map_or_else(|| "does not always differ".into(), |wrong| wrong.to_string());
        Ok(Some(describe(self.options.seed, number, &small, &reason, &outcomes)))
    }
}

async fn is_wrong(lane: &Lane, case: &Case) -> bool {
    let manners = Manners::foresee(&case.bytes);
    let outcomes = lane.run(case, &manners, PATIENCE_ALONE).await;
    complaint(case, &manners, &outcomes).is_some()
}

/// What is wrong with the outcomes of a case: one of them is what must never be, or they differ.
fn complaint(case: &Case, manners: &Manners, outcomes: &Outcomes) -> Option<Wrong> {
    let Outcomes { direct, general } = outcomes;
    if let Some(wrong) = never(case, manners, direct).or_else(|| never(case, manners, general)) {
        return Some(Wrong::Never(wrong));
    }
    let (fast, slow) = (direct.text(), general.text());
    if fast != slow {
        let mut pairs = fast.lines().map(Some).chain([None]).zip(slow.lines().map(Some).chain([None]));
        let (fast, slow) = pairs.find(|(fast, slow)| fast != slow).unwrap_or_default();
        let said = |line: Option<&str>| line.unwrap_or("nothing more").to_owned();
        let text = format!("the planes differ: fast {:?}, general {:?}", said(fast), said(slow));
        return Some(Wrong::Differs(text));
    }
    // Half a preface is waited out under the bound for heads, which is longer than anybody's patience here.
    let is_hung = (direct.talk.is_hung || general.talk.is_hung) && !begins_http2(case);
    is_hung.then(|| Wrong::Differs("hung".into()))
}

/// A preface switches to HTTP/2, which this client does not speak.
fn begins_http2(case: &Case) -> bool {
    case.bytes.windows(14).any(|part| part == b"PRI * HTTP/2.0")
}

/// What must never be, in any plane.
fn never(case: &Case, manners: &Manners, outcome: &Outcome) -> Option<String> {
    if begins_http2(case) {
        return None;
    }
    let most = manners.heads.len() + usize::from(outcome.talk.is_probed);
    if outcome.requests.len() > most {
        return Some(format!("{} requests arrived, the bytes hold {most}", outcome.requests.len()));
    }
    if let Some(broken) = outcome.requests.iter().find(|request| request.line.starts_with("BROKEN")) {
        return Some(format!("the upstream could not read a request: {}", broken.line));
    }
    (!outcome.talk.rest.is_empty())
        .then(|| format!("the client could not read an answer: {}", outcome.talk.rest))
}

fn describe(seed: u64, number: u64, case: &Case, reason: &str, outcomes: &Outcomes) -> String {
    let mut text = format!("WRONG: {reason}\n\n== seed {seed}, case {number}\n");
    text.push_str(&notation::lines(&case.bytes, '>'));
    for (place, script) in case.scripts.iter().enumerate() {
        if place > 0 {
            text.push_str("~~\n");
        }
        text.push_str(&notation::lines(&script.answer, '~'));
    }
    if !case.cuts.is_empty() {
        let _ = writeln!(text, "# pauses after {:?}", case.cuts);
    }
    let _ = writeln!(
        text,
        "\nwith the fast path:\n{}\nwithout:\n{}",
        outcomes.direct.text(),
        outcomes.general.text()
    );
    let _ = write!(
        text,
        "again: cargo run --release -p tidegate-chaos -- fuzz http1 --seed {seed} --case {number}"
    );
    text
}

fn on_runtime<T>(future: impl Future<Output = T>) -> io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}

#[cfg(test)]
mod tests;
