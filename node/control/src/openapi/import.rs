//! Document to definition: the order in which a document is read. Each part has its own file below.

mod integration;
mod interface;
mod models;
mod parameters;
mod paths;
mod reading;
mod security;
mod settings;

use serde_json::Value;

use self::reading::Reading;
use super::{INVALID_INPUT, ImportError, ImportOptions, Imported, limits::NOTES_MAX, source};
use crate::cache_key;

/// Reads bytes.
pub(crate) fn import(bytes: &[u8], options: &ImportOptions) -> Result<Imported, ImportError> {
    let document = source::read(bytes).map_err(|error| garbage(&error.0))?;
    let imported = read(&document, options)?;
    let wrong = wrong_cache_keys(&imported);
    if wrong.is_empty() { Ok(imported) } else { Err(ImportError::Invalid { messages: wrong }) }
}

/// Reads a document that is already parsed.
pub(crate) fn read(document: &Value, options: &ImportOptions) -> Result<Imported, ImportError> {
    let mut reading = Reading::new(document).map_err(|reason| garbage(&reason))?;
    let mut imported = Imported::default();
    let parameters = settings::parameters(&mut reading, options, &mut imported);
    settings::read(&mut reading, &mut imported);
    models::read(&mut reading);
    imported.resources = paths::read(&mut reading, parameters.basepath);
    imported.models = std::mem::take(&mut reading.models);
    security::finish(&mut reading);
    let (warnings, errors) = reading.notes.finish();
    if !errors.is_empty() {
        return Err(ImportError::Invalid { messages: errors });
    }
    if options.fail_on_warnings && !warnings.is_empty() {
        return Err(ImportError::Warnings { messages: warnings });
    }
    imported.warnings = warnings;
    Ok(imported)
}

/// Cache key parameters that their methods do not have. Not part of [`read`], as a method may have parameters that only
/// `x-tidegate-method` says, which the exporter does not add before it has read its own document.
fn wrong_cache_keys(imported: &Imported) -> Vec<String> {
    let methods = imported.resources.iter().flat_map(|resource| {
        resource.methods.iter().map(move |(verb, method)| (&resource.path, verb, method))
    });
    let wrong = methods.filter_map(|(path, verb, method)| {
        let fault = cache_key::check(method.method_integration.as_ref()?, method).err()?;
        Some(format!("Unable to put integration on '{verb}' for resource at path '{path}': {fault}"))
    });
    wrong.take(NOTES_MAX).collect()
}

/// The message of a refused import: API Gateway's own line for garbage, a list for the rest.
pub(crate) fn refusal(messages: &[String]) -> String {
    match messages {
        [first, rest @ ..] if first == INVALID_INPUT => {
            rest.iter().fold(first.clone(), |text, reason| format!("{text} {reason}"))
        }
        _ => format!("Errors found during import:\n\t{}", messages.join("\n\t")),
    }
}

fn garbage(reason: &str) -> ImportError {
    let reason = (!reason.is_empty()).then(|| format!("({reason})"));
    ImportError::Invalid { messages: std::iter::once(INVALID_INPUT.to_owned()).chain(reason).collect() }
}
