//! One served stage: its archive and the side tables that are built once, when it is loaded.

#[cfg(test)]
mod tests;

use std::fmt;

use rkyv::rancor;
use tidegate_proto::{
    compiled::{ArchivedMethodV1, ArchivedStageV1, StageV1, VERSION},
    document::{ApiDefinition, Stage},
    frame::{self, FrameError, Kind},
};

use crate::{
    Answer, Target,
    archive::Archive,
    compile::{CompileError, compile},
    direct::Plans,
    transform::{ParsedTemplate, parse_template},
};

/// Why a compiled stage cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The definition does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The bytes are not a frame this program reads.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The archive does not validate, or does not fit into one.
    #[error("compiled stage does not validate: {0}")]
    Archive(#[from] rancor::Error),
    /// A template or pattern in it does not parse, although a compiler wrote it.
    #[error("compiled stage holds a text that does not parse: {0}")]
    Text(String),
}

/// A compiled stage, ready to serve; shared by all snapshots that contain it.
pub struct StageTable {
    archive: Archive,
    templates: Box<[ParsedTemplate]>,
    patterns: Box<[StatusSet]>,
    plans: Plans,
}

/// What a method is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'t> {
    /// Id of the resource.
    pub resource_id: &'t str,
    /// Path of the resource, with braces.
    pub resource_path: &'t str,
    /// Verb as configured, `ANY` included.
    pub verb: &'t str,
}

impl StageTable {
    /// Compiles and loads a stage.
    pub fn compile(definition: &ApiDefinition, stage: &Stage) -> Result<Self, LoadError> {
        Self::from_compiled(&compile(definition, stage)?)
    }

    /// Loads what [`compile`] returned.
    pub fn from_compiled(stage: &StageV1) -> Result<Self, LoadError> {
        Self::load(Archive::new(stage)?)
    }

    /// Loads the frame that [`Self::frame`] made.
    pub fn from_frame(bytes: &[u8]) -> Result<Self, LoadError> {
        Self::load(Archive::validated(frame::open(Kind::Stage, VERSION, bytes)?)?)
    }

    /// The stage as a frame, for disk or peers.
    pub fn frame(&self) -> Result<Vec<u8>, FrameError> {
        frame::seal(Kind::Stage, VERSION, self.archive.bytes())
    }

    /// Id of the REST API.
    pub fn api(&self) -> &str {
        &self.stage().api
    }

    /// Name of the REST API.
    pub fn api_name(&self) -> &str {
        &self.stage().api_name
    }

    /// Stage name.
    pub fn name(&self) -> &str {
        &self.stage().stage
    }

    /// Deployment that is served.
    pub fn deployment(&self) -> &str {
        &self.stage().deployment
    }

    /// Resource path and verb of every method, in method order: what per-route meters are made from.
    pub fn routes(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.stage().methods.iter().map(|method| (method.resource_path.as_str(), method.verb.as_str()))
    }

    /// One method, by its place in [`Self::routes`].
    pub fn route(&self, index: usize) -> Option<Route<'_>> {
        let method = self.stage().methods.get(index)?;
        let (resource_id, resource_path, verb) = (&method.resource, &method.resource_path, &method.verb);
        Some(Route { resource_id, resource_path, verb })
    }

    /// Where the calls of methods with [`crate::Plan::Forward`] go.
    pub fn targets(&self) -> &[Target] {
        self.plans.targets()
    }

    /// A constant answer, by the number in [`crate::Plan::Answer`].
    pub fn answer(&self, index: u32) -> Option<&Answer> {
        self.plans.answer(index)
    }

    pub(crate) fn plans(&self) -> &Plans {
        &self.plans
    }

    pub(crate) fn stage(&self) -> &ArchivedStageV1 {
        self.archive.stage()
    }

    pub(crate) fn method(&self, index: u32) -> Option<&ArchivedMethodV1> {
        self.stage().methods.get(index as usize)
    }

    pub(crate) fn template(&self, index: u32) -> Option<&ParsedTemplate> {
        self.templates.get(index as usize)
    }

    /// Whether pattern `index` matches a status.
    pub(crate) fn matches(&self, index: u32, status: u16) -> bool {
        self.patterns.get(index as usize).is_some_and(|set| set.contains(status))
    }

    fn load(archive: Archive) -> Result<Self, LoadError> {
        let stage = archive.stage();
        let templates = stage.templates.iter().map(|text| parse_template(text)).collect::<Result<_, _>>();
        let patterns = stage.patterns.iter().map(|text| StatusSet::parse(text)).collect::<Result<_, _>>();
        let (templates, patterns) = (templates.map_err(LoadError::Text)?, patterns.map_err(LoadError::Text)?);
        let mut table = Self { archive, templates, patterns, plans: Plans::default() };
        table.plans = Plans::of_stage(&table);
        Ok(table)
    }
}

impl fmt::Debug for StageTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageTable")
            .field("api", &self.api())
            .field("stage", &self.name())
            .finish_non_exhaustive()
    }
}

/// The status codes a selection pattern matches, decided once: a lookup neither runs the expression nor takes its cache's lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatusSet([u64; 10]);

impl StatusSet {
    /// Evaluates a pattern for every status. As in Java's `matches`, the whole text must match.
    pub(crate) fn parse(pattern: &str) -> Result<Self, String> {
        let regex = regex::RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
            .size_limit(1 << 20)
            .build()
            .map_err(|error| format!("selection pattern: {error}"))?;
        let mut words = [0; 10];
        for status in 0..640_u16 {
            if regex.is_match(&status.to_string())
                && let Some(word) = words.get_mut(usize::from(status / 64))
            {
                *word |= 1 << (status % 64);
            }
        }
        Ok(Self(words))
    }

    fn contains(&self, status: u16) -> bool {
        self.0.get(usize::from(status / 64)).is_some_and(|word| word & (1 << (status % 64)) != 0)
    }
}
