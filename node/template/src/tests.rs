//! Recordings of the real service, the oracle with its ratchet, and hostile templates. Owns no behaviour.

use crate::{Budget, Input, Overrides, RenderError, Template};
use serde_json::{Map, Value as Json, json};
use std::fs;
use std::path::Path;

mod hostile;
mod language;
mod recorded;
