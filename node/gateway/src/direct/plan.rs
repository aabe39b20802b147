//! Decides, when a stage is loaded, which of its methods take the short line.

use std::collections::HashMap;

use http::HeaderMap;
use tidegate_proto::compiled::{
    ArchivedBodyV1, ArchivedCallV1, ArchivedIntegrationV1, ArchivedPartV1, ArchivedPlaceV1,
    ArchivedResponseV1, ArchivedSourceV1, NONE,
};

use super::Answer;
use crate::{Admitted, Facts, Request, ResponseBody, Snapshot, StageTable, Step};

/// How a method is served on the short line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Not at all.
    General,
    /// The call goes to target `target` of the stage.
    Forward {
        /// Place among [`StageTable::targets`].
        target: u32,
    },
    /// The answer is always the same.
    Answer {
        /// To be given to [`StageTable::answer`].
        answer: u32,
    },
}

/// Where a stage's calls go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Whether its certificate is taken unverified.
    pub tls_unverified: bool,
    /// Host and port.
    pub authority: String,
}

/// The plans of all methods of a stage.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    plans: Box<[Plan]>,
    targets: Box<[Target]>,
    answers: Box<[Answer]>,
}

impl Plans {
    /// Looks at every method of `stage`.
    pub(crate) fn of_stage(stage: &StageTable) -> Self {
        let nowhere = Snapshot::empty("", "");
        let (mut plans, mut answers) = (Vec::new(), Vec::new());
        let mut targets = Targets::default();
        for (index, method) in stage.stage().methods.iter().enumerate() {
            let index = index as u32;
            plans.push(match &method.integration {
                ArchivedIntegrationV1::HttpProxy { call } if is_direct(call) => {
                    Plan::Forward { target: targets.place(call) }
                }
                ArchivedIntegrationV1::Mock { request, responses }
                    if is_constant(stage, request, responses.iter()) =>
                {
                    match Admitted::presumed(&nowhere, stage, index).and_then(|admitted| constant(&admitted))
                    {
                        Some(answer) => {
                            answers.push(answer);
                            Plan::Answer { answer: (answers.len() - 1) as u32 }
                        }
                        None => Plan::General,
                    }
                }
                ArchivedIntegrationV1::HttpProxy { .. }
                | ArchivedIntegrationV1::Http { .. }
                | ArchivedIntegrationV1::Mock { .. } => Plan::General,
            });
        }
        Self { plans: plans.into(), targets: targets.all.into(), answers: answers.into() }
    }

    pub(crate) fn of(&self, method: usize) -> Plan {
        self.plans.get(method).copied().unwrap_or(Plan::General)
    }

    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    pub(crate) fn answer(&self, index: u32) -> Option<&Answer> {
        self.answers.get(index as usize)
    }
}

/// Targets in order of appearance, each once.
#[derive(Default)]
struct Targets {
    all: Vec<Target>,
    places: HashMap<Target, u32>,
}

impl Targets {
    fn place(&mut self, call: &ArchivedCallV1) -> u32 {
        let (tls, tls_unverified) = (call.tls, call.tls_unverified);
        let target = Target { tls, tls_unverified, authority: call.authority.as_str().to_owned() };
        if let Some(place) = self.places.get(&target) {
            return *place;
        }
        let place = self.all.len() as u32;
        self.all.push(target.clone());
        self.places.insert(target, place);
        place
    }
}

/// A constant authority, and a target of constants and path parameters that starts with a slash.
fn is_direct(call: &ArchivedCallV1) -> bool {
    let starts_with_slash =
        matches!(call.uri.first(), Some(ArchivedPartV1::Literal(text)) if text.starts_with('/'));
    let is_plain = |part: &ArchivedPartV1| match part {
        ArchivedPartV1::Literal(text) => {
            text.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\\<>^`{|}\"".contains(&byte))
        }
        ArchivedPartV1::PathParameter(_) | ArchivedPartV1::Mapped(_) => true,
    };
    let from_path = |place: &ArchivedPlaceV1, source: &ArchivedSourceV1| {
        matches!((place, source), (ArchivedPlaceV1::Path, ArchivedSourceV1::Path(_)))
    };
    !call.authority.is_empty()
        && starts_with_slash
        && call.uri.iter().all(is_plain)
        && call.parameters.iter().all(|mapping| from_path(&mapping.place, &mapping.source))
}

/// Whether nothing that a request brings can change the answer of a `MOCK`.
fn is_constant<'a>(
    stage: &StageTable,
    request: &ArchivedBodyV1,
    mut responses: impl Iterator<Item = &'a ArchivedResponseV1>,
) -> bool {
    let is_literal = |index: u32| {
        index == NONE
            || stage
                .stage()
                .templates
                .get(index as usize)
                .is_some_and(|text| !text.contains(['$', '#', '\\']))
    };
    let json = request.templates.iter().find(|entry| entry.0.as_str() == "application/json");
    json.is_some_and(|entry| is_literal(entry.1.to_native()))
        && responses.all(|response| {
            response.templates.len() <= 1
                && response.templates.iter().all(|entry| is_literal(entry.1.to_native()))
                && response
                    .parameters
                    .iter()
                    .all(|mapping| matches!(mapping.source, ArchivedSourceV1::Constant(_)))
        })
}

/// What the general line answers to the plainest of requests.
fn constant(admitted: &Admitted<'_>) -> Option<Answer> {
    let headers = HeaderMap::new();
    let facts = Facts {
        request_id: "",
        extended_request_id: "",
        trace_id: "",
        source_ip: "",
        protocol: "HTTP/1.1",
        scheme: "http",
        port: 0,
        time_ms: 0,
    };
    let request = Request { verb: "GET", host: "", address: None, query: None, headers: &headers, facts };
    match admitted.call(&request, Some(b"")) {
        Ok(Step::Respond(response)) => match response.body {
            ResponseBody::Bytes(body) => Some(Answer::new(response.status, &response.headers, &body)),
            ResponseBody::Stream => None,
        },
        Ok(Step::Call(..)) | Err(_) => None,
    }
}
