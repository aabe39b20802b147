//! Zonal shifts as an operator starts and ends them. Owns their rules; who moves traffic and leaders away looks at the records.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use tidegate_proto::{
    document::ZonalShift,
    key,
    limits::{ZONAL_SHIFT_S_DEFAULT, ZONAL_SHIFT_S_MAX, ZONAL_SHIFT_S_MIN},
    status::{ClusterStatus, ZonalShiftList, ZonalShiftStatus},
    transaction::TransactionV1,
};
use tidegate_state::State;

use crate::{
    answer::{Answer, print},
    call::Outcome,
    driver::{Reply, barrier, retry},
    error::ApiError,
    input::Input,
    rest::unsupported::Shape,
    store::Store,
};

/// Longest comment, in characters. *AWS*: 128.
const COMMENT_CHARS_MAX: usize = 128;

/// Answers `GET /_tidegate/zonal-shifts`.
pub(crate) fn list(view: &State, now_s: i64) -> Result<Answer, ApiError> {
    let zonal_shifts = current(view, now_s)?.into_iter().map(|shift| status(shift, now_s)).collect();
    Ok(Answer::ok(print(&ZonalShiftList { zonal_shifts })))
}

/// Answers `POST /_tidegate/zonal-shifts`; starting one that is there sets its end and comment anew.
pub(crate) async fn start(
    store: &Arc<dyn Store>,
    cluster: &ClusterStatus,
    body: &Bytes,
    now_s: i64,
) -> Result<Reply, ApiError> {
    let mut input = Input::parse("startZonalShiftInput", body)?;
    let (az, region) = (input.required("az")?, input.string("region")?);
    let expires_in_s = input.integer("expires_in_s")?.unwrap_or(ZONAL_SHIFT_S_DEFAULT);
    let comment = input.string("comment")?.unwrap_or_default();
    input.finish(Shape::Tags)?;
    if !(ZONAL_SHIFT_S_MIN..=ZONAL_SHIFT_S_MAX).contains(&expires_in_s) {
        return Err(ApiError::bad_request(format!(
            "Invalid expires_in_s '{expires_in_s}', must be from {ZONAL_SHIFT_S_MIN} to {ZONAL_SHIFT_S_MAX} seconds"
        )));
    }
    if comment.chars().count() > COMMENT_CHARS_MAX {
        return Err(ApiError::bad_request(format!(
            "Invalid comment, must have at most {COMMENT_CHARS_MAX} characters"
        )));
    }
    let (region, az) = zone(cluster, region, az)?;
    barrier(store).await?;
    let expires = now_s.saturating_add(expires_in_s);
    let shift = ZonalShift { region, az, since: now_s, expires, comment };
    let decide = || std::future::ready(begin(&store.view(), cluster, shift.clone(), now_s));
    Ok(Reply { answer: retry(store, decide).await?, stale: false })
}

fn begin(view: &State, cluster: &ClusterStatus, mut shift: ZonalShift, now_s: i64) -> Outcome {
    let others: BTreeSet<String> = current(view, now_s)?
        .into_iter()
        .filter(|other| other.region == shift.region)
        .map(|other| other.az)
        .collect();
    let left = zones(cluster)
        .into_iter()
        .any(|(region, az)| region == shift.region && az != shift.az && !others.contains(&az));
    if !left {
        return Err(ApiError::conflict(format!(
            "Availability zone {} is the last of region {} that takes traffic; cancel another zonal shift first",
            shift.az, shift.region
        )));
    }
    let name = key::zonal_shift(&shift.region, &shift.az);
    let before =
        current(view, now_s)?.into_iter().find(|old| (&old.region, &old.az) == (&shift.region, &shift.az));
    shift.since = before.map_or(shift.since, |before| before.since);
    let mut transaction = TransactionV1::default();
    transaction.compare(name.clone(), view.revision_of(&name)).put(name, &shift);
    Ok((transaction, Answer::ok(print(&status(shift, now_s)))))
}

/// Answers `DELETE /_tidegate/zonal-shifts/{region}/{az}`.
pub(crate) async fn cancel(
    store: &Arc<dyn Store>,
    region: &str,
    az: &str,
    now_s: i64,
) -> Result<Reply, ApiError> {
    barrier(store).await?;
    let decide = || {
        let (view, name) = (store.view(), key::zonal_shift(region, az));
        let found =
            current(&view, now_s).map(|all| all.iter().any(|one| one.region == region && one.az == az));
        std::future::ready(found.and_then(|found| {
            if !found {
                return Err(ApiError::not_found(format!(
                    "Availability zone {az} of region {region} is not shifted"
                )));
            }
            let mut transaction = TransactionV1::default();
            transaction.compare(name.clone(), view.revision_of(&name)).delete(name);
            Ok((transaction, Answer::no_content()))
        }))
    };
    Ok(Reply { answer: retry(store, decide).await?, stale: false })
}

/// The zone that is meant: without a region, the only one of that name.
fn zone(cluster: &ClusterStatus, region: Option<String>, az: String) -> Result<(String, String), ApiError> {
    let mut fitting: Vec<_> = zones(cluster)
        .into_iter()
        .filter(|(its_region, its_az)| {
            *its_az == az && region.as_ref().is_none_or(|region| region == its_region)
        })
        .collect();
    let known =
        || zones(cluster).iter().map(|(region, az)| format!("{region}/{az}")).collect::<Vec<_>>().join(", ");
    match (fitting.pop(), fitting.is_empty()) {
        (Some(zone), true) => Ok(zone),
        (Some(_), false) => Err(ApiError::bad_request(format!(
            "Invalid az '{az}', must be given with its region: there are {}",
            known()
        ))),
        (None, _) => Err(ApiError::bad_request(format!("Invalid az '{az}', must be one of {}", known()))),
    }
}

fn zones(cluster: &ClusterStatus) -> BTreeSet<(String, String)> {
    cluster.nodes.iter().map(|node| (node.region.clone(), node.az.clone())).collect()
}

/// Shifts that are not over.
fn current(view: &State, now_s: i64) -> Result<Vec<ZonalShift>, ApiError> {
    let all = view.scan::<ZonalShift>(key::ZONAL_SHIFT_PREFIX)?.into_iter().map(|found| found.document);
    Ok(all.filter(|shift| shift.expires > now_s).collect())
}

fn status(shift: ZonalShift, now_s: i64) -> ZonalShiftStatus {
    let ZonalShift { region, az, since, expires, comment } = shift;
    ZonalShiftStatus { region, az, since, expires_in_s: expires - now_s, comment }
}
