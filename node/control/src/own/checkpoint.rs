//! Restoring a checkpoint: everything users configured is replaced; access keys and the cluster's own records stay. Owns what a
//! checkpoint may bring; must never let in a configuration that does not compile.

use tidegate_proto::{
    document::{ApiKey, CacheGeneration, Certificate, Document, Stage},
    key::{self, CREDENTIAL_PREFIX, Key, SEAL_SECRET, USER_PREFIXES},
    limits::TRANSACTION_OPERATIONS_MAX,
    transaction::{PutV1, TransactionV1},
};
use tidegate_state::{State, table::Corrupt};

use super::certificate;
use crate::{error::ApiError, rest};

const CLUSTER_PREFIX: &str = "cluster/";

/// Reads and checks a checkpoint.
pub(crate) fn read(bytes: &[u8]) -> Result<State, ApiError> {
    let image = State::decode(bytes).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let records = image.prefix("").filter(|(key, _)| is_restored(key)).count();
    if records >= TRANSACTION_OPERATIONS_MAX {
        return Err(ApiError::bad_request(format!(
            "The checkpoint holds {records} records, one transaction takes fewer than {TRANSACTION_OPERATIONS_MAX}"
        )));
    }
    check_served(&image)?;
    check_plans(&image)?;
    check_certificates(&image)?;
    Ok(image)
}

/// The transaction that makes users' records equal to the checkpoint's, and how many it writes.
pub(crate) fn restore(view: &State, image: &State) -> (TransactionV1, usize) {
    let mut transaction = TransactionV1::default();
    for prefix in USER_PREFIXES {
        transaction.delete_prefix(prefix);
    }
    let is_wiped = |key: &str| USER_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    for (key, _) in view.prefix("").filter(|(key, _)| is_restored(key) && !is_wiped(key)) {
        transaction.delete(key);
    }
    for (key, record) in image.prefix("").filter(|(key, _)| is_restored(key)) {
        match emptied(key, &record.bytes, view.revision()) {
            Some(stage) => drop(transaction.put(key, &stage)),
            None => transaction.puts.push(PutV1 { key: key.to_owned(), bytes: record.bytes.to_vec() }),
        }
    }
    let records = transaction.puts.len();
    (transaction, records)
}

/// A stage with nothing in its cache: its count of flushes goes back with it, and older answers would be served again. Its newest version
/// is served everywhere: what a zone served before may not be in the image.
fn emptied(name: &str, bytes: &[u8], revision: u64) -> Option<Stage> {
    let Key::Stage { .. } = Key::parse(name) else { return None };
    let stage = Stage::decode(bytes).ok()?;
    Some(Stage { tidegate_cache: CacheGeneration::after(revision), tidegate_rollout: None, ..stage })
}

/// Requires that every API can be read and every stage can be served.
fn check_served(image: &State) -> Result<(), ApiError> {
    let damaged = |corrupt: Corrupt| ApiError::bad_request(corrupt.to_string());
    for api in image.rest_apis().map_err(damaged)? {
        let id = &api.document.id;
        image.definition(&api.document).map_err(damaged)?;
        for stage in image.stages(id).map_err(damaged)? {
            let (stage, name) = (&stage.document, &stage.document.stage_name);
            let place = |fault: &str| ApiError::bad_request(format!("Stage {name} of REST API {id} {fault}"));
            let found = image.deployment(id, &stage.deployment_id).map_err(damaged)?;
            let deployment = found.ok_or_else(|| place("has no deployment"))?.document;
            rest::check_compiles(&deployment.definition, stage)
                .and_then(|()| rest::check_stage_tags(&stage.tags))
                .map_err(|error| place(&format!("cannot be served: {}", error.message)))?;
        }
    }
    Ok(())
}

/// Requires that every usage plan can be read and says what it means, and that every API key can be read.
fn check_plans(image: &State) -> Result<(), ApiError> {
    let damaged = |corrupt: Corrupt| ApiError::bad_request(corrupt.to_string());
    for plan in image.usage_plans().map_err(damaged)? {
        let (id, tags) = (&plan.document.id, &plan.document.tags);
        rest::check_plan_tags(tags)
            .map_err(|error| ApiError::bad_request(format!("Usage plan {id}: {}", error.message)))?;
    }
    image.scan::<ApiKey>(key::API_KEY_PREFIX).map_err(damaged)?;
    image.account().map_err(damaged)?;
    Ok(())
}

/// Requires that every certificate can be served; an expired one can.
fn check_certificates(image: &State) -> Result<(), ApiError> {
    let certificates = image.scan::<Certificate>(key::CERTIFICATE_PREFIX);
    for certificate in certificates.map_err(|corrupt| ApiError::bad_request(corrupt.to_string()))? {
        certificate::check_stored(&certificate.document)?;
    }
    Ok(())
}

/// Records of kinds that only a newer version knows belong to users as well. The secret that values of API keys are sealed under comes
/// with them, as they do not open under another one.
fn is_restored(key: &str) -> bool {
    key == SEAL_SECRET
        || (!key.starts_with(CREDENTIAL_PREFIX) && !key.starts_with(CLUSTER_PREFIX) && key != key::AUTHORITY)
}
