//! Which operation a request means. Owns the closed list of operations and the dispatch by table; must never run one.

mod http;
mod rest;

use crate::query::{Query, decode_segment};

/// The operations of this version. Names are AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are AWS's and documented there")]
pub(crate) enum Operation {
    CreateApiKey,
    CreateDeployment,
    CreateModel,
    CreateResource,
    CreateRestApi,
    CreateStage,
    CreateUsagePlan,
    CreateUsagePlanKey,
    DeleteApiKey,
    DeleteDeployment,
    DeleteIntegration,
    DeleteIntegrationResponse,
    DeleteMethod,
    DeleteMethodResponse,
    DeleteModel,
    DeleteResource,
    DeleteRestApi,
    DeleteStage,
    DeleteUsagePlan,
    DeleteUsagePlanKey,
    FlushStageAuthorizersCache,
    FlushStageCache,
    GetAccount,
    GetApiKey,
    GetApiKeys,
    GetDeployment,
    GetDeployments,
    GetExport,
    GetIntegration,
    GetIntegrationResponse,
    GetMethod,
    GetMethodResponse,
    GetModel,
    GetModels,
    GetResource,
    GetResources,
    GetRestApi,
    GetRestApis,
    GetStage,
    GetStages,
    GetUsagePlan,
    GetUsagePlanKey,
    GetUsagePlanKeys,
    GetUsagePlans,
    ImportApiKeys,
    ImportRestApi,
    PutIntegration,
    PutIntegrationResponse,
    PutMethod,
    PutMethodResponse,
    PutRestApi,
    Tags(Tags),
    UpdateAccount,
    UpdateApiKey,
    UpdateDeployment,
    UpdateIntegration,
    UpdateIntegrationResponse,
    UpdateMethod,
    UpdateMethodResponse,
    UpdateModel,
    UpdateResource,
    UpdateRestApi,
    UpdateStage,
    UpdateUsagePlan,
    VpcLink(Link),
}

/// The operations on tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `GetTags`.
    Get,
    /// `TagResource`.
    Tag,
    /// `UntagResource`.
    Untag,
}

/// The operations on VPC links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// `CreateVpcLink`.
    Create,
    /// `DeleteVpcLink`.
    Delete,
    /// `GetVpcLink`.
    Get,
    /// `GetVpcLinks`.
    List,
    /// `UpdateVpcLink`.
    Update,
}

/// The operations that the counters answer. Names are AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are AWS's and documented there")]
pub(crate) enum Metered {
    GetUsage,
    UpdateUsage,
}

/// What a request line stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// An operation of this version.
    Now(Operation),
    /// An operation of this version that is answered once every node of the region serves what it changed.
    Settled(Operation),
    /// An operation of this version that the counters answer.
    Metered(Metered),
    /// An operation of AWS's API that this version does not have.
    Later(&'static str),
}

/// The values of the named parts of a path, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(&'static str, String)>);

struct Row {
    verb: &'static str,
    /// `{name}` stands for one segment, `{name+}` for the rest of the path.
    path: &'static str,
    mode: Option<&'static str>,
    target: Target,
}

impl Params {
    /// The parts of a path that names only an API.
    pub(crate) fn of_api(api: &str) -> Self {
        Self(vec![("restapi_id", api.to_owned())])
    }

    /// The value of a part; empty when the path has no such part.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}

/// Finds the operation for a verb and a raw path; `None` when AWS has none either.
pub(crate) fn dispatch(verb: &str, raw_path: &str, query: &Query) -> Option<(Target, Params)> {
    let raw_path = raw_path.strip_suffix('/').unwrap_or(raw_path);
    for row in rest::TABLE.iter().filter(|row| row.verb == verb) {
        if row.mode.is_some() && row.mode != query.get("mode") {
            continue;
        }
        if let Some(params) = fit(row.path, raw_path) {
            return Some((row.target, params));
        }
    }
    let later = http::TABLE.iter().find(|(of, path, _)| *of == verb && fit(path, raw_path).is_some());
    later.map(|(_, _, name)| (Target::Later(name), Params::default()))
}

fn fit(pattern: &'static str, raw_path: &str) -> Option<Params> {
    let (mut params, mut rest) = (Vec::new(), raw_path);
    for expected in pattern.split('/').skip(1) {
        rest = rest.strip_prefix('/')?;
        let name = expected.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        if let Some(name) = name.and_then(|name| name.strip_suffix('+')) {
            params.push((name, decode_segment(rest)));
            return (!rest.is_empty()).then_some(Params(params));
        }
        let end = rest.find('/').unwrap_or(rest.len());
        let (segment, after) = rest.split_at(end);
        match name {
            Some(_) if segment.is_empty() => return None,
            Some(name) => params.push((name, one_name(segment))),
            None if segment == expected => {}
            None => return None,
        }
        rest = after;
    }
    rest.is_empty().then_some(Params(params))
}

/// A name never holds a slash: one that was escaped stays escaped, so that no path reaches a record of another kind.
fn one_name(segment: &str) -> String {
    let name = decode_segment(segment);
    if name.contains('/') { segment.to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines_name_operations() {
        use Operation as O;
        let cases = [
            ("GET", "/restapis", "", Target::Now(O::GetRestApis), ""),
            ("POST", "/restapis", "", Target::Now(O::CreateRestApi), ""),
            ("POST", "/restapis", "mode=import&failonwarnings=true", Target::Now(O::ImportRestApi), ""),
            ("PUT", "/restapis/abc", "mode=merge", Target::Now(O::PutRestApi), "restapi_id=abc"),
            ("GET", "/restapis/abc/", "", Target::Now(O::GetRestApi), "restapi_id=abc"),
            ("POST", "/restapis/a/resources/r", "", Target::Now(O::CreateResource), "parent_id=r"),
            (
                "PUT",
                "/restapis/a/resources/r/methods/GET/integration/responses/200",
                "",
                Target::Now(O::PutIntegrationResponse),
                "status_code=200",
            ),
            ("GET", "/restapis/a%2Fstage%2Fs", "", Target::Now(O::GetRestApi), "restapi_id=a%2Fstage%2Fs"),
            ("GET", "/restapis/a/models/My%20Model", "", Target::Now(O::GetModel), "model_name=My Model"),
            (
                "GET",
                "/tags/arn%3Aaws%3Aapigateway%3Ax%3A%3A%2Frestapis%2Fa",
                "",
                Target::Now(O::Tags(Tags::Get)),
                "resource_arn=arn:aws:apigateway:x::/restapis/a",
            ),
            (
                "PUT",
                "/tags/arn:aws:apigateway:x::/restapis/a/stages/s",
                "",
                Target::Now(O::Tags(Tags::Tag)),
                "resource_arn=arn:aws:apigateway:x::/restapis/a/stages/s",
            ),
            ("GET", "/apikeys", "", Target::Now(O::GetApiKeys), ""),
            ("POST", "/apikeys", "", Target::Now(O::CreateApiKey), ""),
            ("POST", "/apikeys", "mode=import&format=csv", Target::Now(O::ImportApiKeys), ""),
            ("GET", "/usageplans/p/usage", "", Target::Metered(Metered::GetUsage), "usageplanId=p"),
            ("PATCH", "/usageplans/p/keys/k/usage", "", Target::Metered(Metered::UpdateUsage), "keyId=k"),
            ("GET", "/domainnames", "", Target::Later("GetDomainNames"), ""),
            ("POST", "/v2/apis", "", Target::Later("CreateApi"), ""),
            ("GET", "/v2/apis/x/routes/y", "", Target::Later("GetRoute"), ""),
        ];
        for (verb, path, query, expect, param) in cases {
            let (target, params) = dispatch(verb, path, &Query::parse(query)).expect(path);
            assert_eq!(target, expect, "{verb} {path}");
            let (name, value) = param.split_once('=').unwrap_or(("", ""));
            assert_eq!(params.get(name), value, "{verb} {path}");
        }
        for (verb, path) in [
            ("GET", "/"),
            ("GET", ""),
            ("PATCH", "/restapis"),
            ("GET", "/restapis//resources"),
            ("GET", "/tags/"),
            ("GET", "/nope"),
        ] {
            assert!(dispatch(verb, path, &Query::default()).is_none(), "{verb} {path}");
        }
    }

    #[test]
    fn a_flush_of_answers_is_waited_for() {
        for (what, expect) in [
            ("data", Target::Settled(Operation::FlushStageCache)),
            ("authorizers", Target::Now(Operation::FlushStageAuthorizersCache)),
        ] {
            let path = format!("/restapis/a/stages/s/cache/{what}");
            let (target, params) = dispatch("DELETE", &path, &Query::default()).expect(what);
            assert_eq!((target, params.get("stage_name")), (expect, "s"), "{what}");
        }
    }
}
