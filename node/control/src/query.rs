//! Query strings and form bodies as name-value pairs. Owns their decoding; must never see a signature (that covers the raw text).

use percent_encoding::percent_decode_str;

/// Most pairs that are read; AWS's operations have fewer than ten parameters.
const PAIRS_MAX: usize = 1_024;

/// Decoded pairs in order of arrival.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d`; `+` is a blank.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(PAIRS_MAX);
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(decoded.collect())
    }

    /// The first value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All pairs in order of arrival.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Percent-decodes one path segment; a blank is `%20` there, `+` is itself.
pub(crate) fn decode_segment(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn decode(text: &str) -> String {
    decode_segment(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_once() {
        let query = Query::parse("a=1&b=x+y%2B&tagKeys=k1&tagKeys=k%202&flag&=");
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get("b"), Some("x y+"));
        assert_eq!(query.all("tagKeys").collect::<Vec<_>>(), ["k1", "k 2"]);
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("absent"), None);
    }
}
