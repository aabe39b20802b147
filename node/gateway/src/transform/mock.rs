//! Reads the status code out of what a `MOCK` request template rendered.

/// The integer `statusCode` of a JSON object. As AWS does, it takes keys without quotes.
pub(super) fn status_code(text: &str) -> Option<i64> {
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
        return value.get("statusCode")?.as_i64();
    }
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let after = inner.split_once("statusCode")?.1.trim_start_matches(['"', '\'']).trim_start();
    let number = after.strip_prefix(':')?.trim_start();
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    let rest = number.get(end..)?.trim_start();
    if rest.starts_with(',') || rest.is_empty() || rest.starts_with('}') {
        number.get(..end)?.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn status_codes() {
        for (text, expect) in [
            (r#"{"statusCode": 200}"#, Some(200)),
            (r#"{"statusCode":404,"x":1}"#, Some(404)),
            ("{statusCode: 200}", Some(200)),
            ("{ 'statusCode' : 201, }", Some(201)),
            ("{\n  statusCode: 302\n}", Some(302)),
            (r#"{"statusCode": "200"}"#, None),
            (r#"{"statusCode": 2.5}"#, None),
            ("{statusCode: 2.5}", None),
            ("{statusCode: '200'}", None),
            ("{}", None),
            ("", None),
            ("200", None),
            ("statusCode: 200", None),
        ] {
            assert_eq!(super::status_code(text), expect, "{text}");
        }
    }
}
