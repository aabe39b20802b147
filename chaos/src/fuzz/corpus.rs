//! The corpus: known tricks and malformed inputs with what must become of each, one table per subject.
//!
//! ```text
//! == name of the case
//! > a line the client sends, followed by CRLF       >+ bytes the client sends as they stand
//! ~ a line the upstream answers, followed by CRLF   ~+ bytes the upstream answers as they stand
//! ~~ early | ~~ silent                              the manner of that answer; after it begins the next answer
//! = 200 400 closed 1                                the outcome
//! @ GET /p HTTP/1.1                                 a line of what arrived at the upstream, in canonical form
//! ! x-evil                                          what must not stand in anything that arrived there
//! ```
//!
//! The outcome: statuses of the answers in order, then how it ends, then how many requests arrived at the upstream. `open`: a probe
//! sent after the answers is served. `closed`: the gateway closes. `left`: nothing more can come, the client leaves and the
//! gateway closes. Bytes are written as [`super::notation`] says.

use super::{
    case::{Case, Manner, Manners, Script, Then},
    lane::Outcome,
    notation,
};

/// The tables, by subject.
const TABLES: [(&str, &str); 7] = [
    ("plain", include_str!("../../corpus/http1/plain.txt")),
    ("framing", include_str!("../../corpus/http1/framing.txt")),
    ("chunks", include_str!("../../corpus/http1/chunks.txt")),
    ("lines", include_str!("../../corpus/http1/lines.txt")),
    ("targets", include_str!("../../corpus/http1/targets.txt")),
    ("connections", include_str!("../../corpus/http1/connections.txt")),
    ("upstream", include_str!("../../corpus/http1/upstream.txt")),
];

/// A case and what must become of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// Table and name.
    pub(crate) name: String,
    pub(crate) case: Case,
    statuses: Vec<u16>,
    end: String,
    arrivals: usize,
    /// Lines that must have arrived.
    seen: Vec<String>,
    /// Texts that must not have arrived.
    unseen: Vec<String>,
}

/// All entries in the order of the tables.
///
/// # Errors
/// Table, line and reason.
pub(crate) fn entries() -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for (table, text) in TABLES {
        read_table(table, text, &mut entries)?;
    }
    Ok(entries)
}

/// Reads one table.
pub(crate) fn read_table(table: &str, text: &str, entries: &mut Vec<Entry>) -> Result<(), String> {
    let mut is_next_answer = true;
    for (number, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("== ") {
            entries.push(Entry { name: format!("{table}: {name}"), ..Entry::default() });
            is_next_answer = true;
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |reason: String| format!("{table}, line {}: {reason}", number + 1);
        let entry = entries.last_mut().ok_or_else(|| wrong("no case yet".into()))?;
        entry.take(line, &mut is_next_answer).map_err(wrong)?;
    }
    Ok(())
}

impl Entry {
    fn take(&mut self, line: &str, is_next_answer: &mut bool) -> Result<(), String> {
        let (mark, text) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            ">" | ">+" => {
                self.case.bytes.extend_from_slice(&notation::read(text)?);
                if mark == ">" {
                    self.case.bytes.extend_from_slice(b"\r\n");
                }
            }
            "~" | "~+" | "~~" => {
                if std::mem::replace(is_next_answer, mark == "~~") {
                    self.case.scripts.push(Script::default());
                }
                let script = self.case.scripts.last_mut().ok_or("no answer yet")?;
                match (mark, text) {
                    ("~~", "") => script.manner = Manner::Usual,
                    ("~~", "early") => script.manner = Manner::Early,
                    ("~~", "silent") => script.manner = Manner::Silent,
                    ("~~", other) => return Err(format!("what manner is {other}?")),
                    _ => script.answer.extend_from_slice(&notation::read(text)?),
                }
                if mark == "~" {
                    script.answer.extend_from_slice(b"\r\n");
                }
            }
            "=" => self.expect(text)?,
            "@" => self.seen.push(text.into()),
            "!" => self.unseen.push(text.into()),
            _ => return Err(format!("what is {mark}?")),
        }
        Ok(())
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let arrivals = words.pop().and_then(|word| word.parse().ok()).ok_or("how many arrive?")?;
        let end =
            words.pop().filter(|end| ["open", "closed", "left"].contains(end)).ok_or("how does it end?")?;
        let statuses = words.iter().map(|word| word.parse().map_err(|_| format!("what status is {word}?")));
        (self.statuses, self.end, self.arrivals) =
            (statuses.collect::<Result<_, _>>()?, end.into(), arrivals);
        Ok(())
    }

    /// How the client behaves.
    pub(crate) fn manners(&self) -> Manners {
        let mut heads = Manners::foresee(&self.case.bytes).heads;
        // Who leaves waits for what can come before.
        if self.end != "left" {
            heads.resize(self.statuses.len(), false);
        }
        let then = match self.end.as_str() {
            "open" => Then::Probe,
            "closed" => Then::Wait,
            _ => Then::Leave,
        };
        Manners { heads, then }
    }

    /// What is not as it must be.
    pub(crate) fn complaints(&self, outcome: &Outcome) -> Vec<String> {
        let mut complaints = Vec::new();
        let is_open = self.end == "open";
        let mut statuses = self.statuses.clone();
        statuses.extend(is_open.then_some(200));
        if outcome.statuses() != statuses {
            complaints.push(format!("statuses {:?}, must be {statuses:?}", outcome.statuses()));
        }
        let arrivals = self.arrivals + usize::from(is_open);
        if outcome.requests.len() != arrivals {
            complaints.push(format!("{} requests arrived, must be {arrivals}", outcome.requests.len()));
        }
        if outcome.talk.is_hung || !outcome.talk.rest.is_empty() || outcome.talk.is_probed != is_open {
            complaints.push(format!("does not end {}", self.end));
        }
        let arrived: String = outcome.requests.iter().map(ToString::to_string).collect();
        let missing = self.seen.iter().filter(|line| !arrived.lines().any(|known| known == line.as_str()));
        complaints.extend(missing.map(|line| format!("{line:?} did not arrive")));
        let smuggled = self.unseen.iter().filter(|text| arrived.contains(text.as_str()));
        complaints.extend(smuggled.map(|text| format!("{text:?} arrived")));
        complaints
    }
}
