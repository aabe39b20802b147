//! VPC links. Owns their rules, and that none goes while a stage calls through it; must never reach a target.

use serde_json::{Value, json};
use tidegate_gateway::link_uses;
use tidegate_proto::{
    document::{LinkTargets, Map, VpcLink},
    id::short_id,
    key::{self, Key},
    limits::{API_KEY_DESCRIPTION_CHARS_MAX, VPC_LINK_NAME_CHARS_MAX, VPC_LINKS_MAX},
    transaction::TransactionV1,
};
use tidegate_state::table::Versioned;

use super::{tags, unsupported::Shape};
use crate::{
    answer::{Answer, print},
    call::{Call, Outcome, read},
    error::ApiError,
    input::Input,
    operation::Link,
    page::page,
    patch::{self, Kind, REPLACE, Rule, Style, Table},
};

const PATCHES: Table = Table {
    style: Style::Listed,
    rules: &[
        Rule { path: "/description", ops: REPLACE, kind: Kind::Text },
        Rule { path: "/name", ops: REPLACE, kind: Kind::Text },
    ],
};

const READY: &str = "Your vpc link is ready for use";
/// What follows where a link leads nowhere.
const NO_TARGETS: &str =
    ", but has no targets: name them in the tag tidegate:targets, or tidegate:targets:ZONE";

/// Runs an operation on links.
pub(crate) fn run(operation: Link, call: &Call<'_>) -> Outcome {
    match operation {
        Link::Create => create(call),
        Link::Delete => delete(call),
        Link::Get => get(call),
        Link::List => list(call),
        Link::Update => update(call),
    }
}

/// `CreateVpcLink`. The answer says `PENDING`, as AWS's does; the link can be used at once.
fn create(call: &Call<'_>) -> Outcome {
    let mut input = Input::parse("createVpcLinkInput", call.body)?;
    let (name, description) = (input.required("name")?, input.string("description")?);
    let target_arns = input.strings("targetArns")?;
    if target_arns.is_none() {
        input.violate("null", "targetArns", "Member must not be null");
    }
    let tags = input.string_map("tags")?;
    input.finish(Shape::VpcLink)?;
    if call.view.prefix(key::VPC_LINK_PREFIX).count() >= VPC_LINKS_MAX {
        return Err(ApiError::limit_exceeded(format!(
            "Maximum number of VPC links for this cluster has been reached: {VPC_LINKS_MAX}"
        )));
    }
    let link = VpcLink {
        id: call.stamps.id(short_id, |id| call.view.get(&key::vpc_link(id)).is_some())?,
        name,
        description: description.filter(|text| !text.is_empty()),
        target_arns: target_arns.unwrap_or_default(),
        tags,
        ..VpcLink::default()
    };
    check(&link)?;
    let mut transaction = TransactionV1::default();
    transaction.compare(key::vpc_link(&link.id), 0).put(key::vpc_link(&link.id), &link);
    let mut form = print(&link);
    form["status"] = json!("PENDING");
    Ok((transaction, Answer { status: 202, ..Answer::ok(form) }))
}

/// `GetVpcLink`.
fn get(call: &Call<'_>) -> Outcome {
    read(Answer::ok(printed(&find(call)?.document)))
}

/// `GetVpcLinks`, by id.
fn list(call: &Call<'_>) -> Outcome {
    let links = call.view.scan::<VpcLink>(key::VPC_LINK_PREFIX)?;
    let rows = links.into_iter().map(|found| (found.document.id.clone(), found.document)).collect();
    read(Answer::ok(page(rows, call.query, |link| printed(&link))?))
}

/// `UpdateVpcLink`: name and description; targets are tags.
fn update(call: &Call<'_>) -> Outcome {
    let patches = patch::parse("updateVpcLinkInput", call.body, &[])?;
    let Versioned { revision, document: mut link } = find(call)?;
    if patches.iter().any(|patch| patch.path.starts_with("/targetArns")) {
        return Err(ApiError::bad_request("Target arns are not allowed to be changed/added."));
    }
    let mut form = json!({ "name": link.name, "description": link.description });
    patch::apply(&PATCHES, &mut form, &patches)?;
    let text = |field: &str| form[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    link.name = text("name").unwrap_or_default();
    link.description = text("description");
    check(&link)?;
    let mut transaction = TransactionV1::default();
    transaction.compare(key::vpc_link(&link.id), revision).put(key::vpc_link(&link.id), &link);
    Ok((transaction, Answer::ok(printed(&link))))
}

/// `DeleteVpcLink`: refused while a stage serves a method that calls through it.
fn delete(call: &Call<'_>) -> Outcome {
    let Versioned { revision, document: link } = find(call)?;
    let users = users(call, &link.id)?;
    if !users.is_empty() {
        return Err(ApiError::bad_request(format!(
            "Cannot delete vpc link. Vpc link '{}', is referenced in [{}] in format of [RESTApiId:Method:Resource:Stage].",
            link.id,
            users.join(", ")
        )));
    }
    let mut transaction = TransactionV1::default();
    transaction.compare(key::vpc_link(&link.id), revision).delete(key::vpc_link(&link.id));
    Ok((transaction, Answer::accepted()))
}

/// The VPC link of the path.
fn find(call: &Call<'_>) -> Result<Versioned<VpcLink>, ApiError> {
    find_by_id(call, call.param("vpclink_id"))
}

/// A VPC link by id.
pub(super) fn find_by_id(call: &Call<'_>, id: &str) -> Result<Versioned<VpcLink>, ApiError> {
    let found = if id.contains('/') { None } else { call.view.read::<VpcLink>(&key::vpc_link(id))? };
    found.ok_or_else(|| ApiError::not_found("Invalid Vpc Link identifier specified"))
}

/// Checks what the tags of a link say about its targets.
pub(super) fn check_tags(tags: &Map<String>) -> Result<(), ApiError> {
    tags::check(tags)?;
    LinkTargets::from_tags(tags).map(drop).map_err(|error| ApiError::bad_request(error.to_string()))
}

/// Methods of stages that call through a link, as AWS names them.
fn users(call: &Call<'_>, link: &str) -> Result<Vec<String>, ApiError> {
    let mut users = Vec::new();
    for (name, _) in call.view.prefix(key::REST_API_PREFIX) {
        let Key::Stage { api, stage } = Key::parse(name) else { continue };
        let Some(stage) = call.view.stage(api, stage)?.map(|found| found.document) else { continue };
        let Some(deployment) = call.view.deployment(api, &stage.deployment_id)? else { continue };
        let definition = deployment.document.definition;
        for one in link_uses(&definition, &stage).into_iter().filter(|one| one.link == link) {
            let resource = definition.resources.iter().find(|resource| resource.path == one.path);
            let resource = resource.map_or("", |resource| &*resource.id);
            users.push(format!("{api}:{}:{resource}:{}", one.verb, stage.stage_name));
        }
    }
    Ok(users)
}

fn check(link: &VpcLink) -> Result<(), ApiError> {
    let refuse = |text: String| Err(ApiError::bad_request(text));
    let chars = |text: &str| text.chars().count();
    if link.name.is_empty() || chars(&link.name) > VPC_LINK_NAME_CHARS_MAX {
        return refuse(format!(
            "Invalid VPC link name specified, must be 1 to {VPC_LINK_NAME_CHARS_MAX} characters"
        ));
    }
    if chars(link.description.as_deref().unwrap_or_default()) > API_KEY_DESCRIPTION_CHARS_MAX {
        return refuse("Invalid VPC link description specified.".into());
    }
    match link.target_arns.as_slice() {
        [arn] if arn.starts_with("arn:") && arn.split(':').count() >= 6 => {}
        [arn] => return refuse(format!("Invalid targetArns '{arn}', must be the ARN of a load balancer")),
        [] => return refuse("Invalid targetArns [], must hold the ARN of a load balancer".into()),
        _ => return refuse("More than one target arn specified for vpc link.".into()),
    }
    check_tags(&link.tags)
}

/// What AWS prints of a link that exists.
fn printed(link: &VpcLink) -> Value {
    let leads_nowhere = LinkTargets::from_tags(&link.tags).is_ok_and(|found| found.targets.is_empty());
    let mut form = print(link);
    form["status"] = json!("AVAILABLE");
    form["statusMessage"] = json!(format!("{READY}{}", if leads_nowhere { NO_TARGETS } else { "" }));
    form
}
