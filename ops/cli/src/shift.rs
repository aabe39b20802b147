//! `tidegate zonal-shift …`: move traffic and leaders off an availability zone.

use http::Method;
use serde_json::{Value, json};
use tidegate_proto::status::{ZonalShiftList, ZonalShiftStatus};

use crate::{
    Client, Error, Format,
    output::{json as pretty, percent_encode, table},
};

const ROOT: &str = "/_tidegate/zonal-shifts";

/// Verbs on zonal shifts.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ZonalShiftCommand {
    /// Start one, or set its end anew: readiness of the zone's nodes turns red, clients are asked to connect elsewhere, leaders hand
    /// over, and upstreams in the zone are used last
    Start {
        /// Availability zone; REGION/AZ where several regions have one of that name
        az: String,
        /// When it ends by itself: seconds, or a number with s, m, h or d; one minute to three days
        #[arg(long, default_value = "1h", value_name = "TIME", value_parser = seconds)]
        expires_in: i64,
        /// Why
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// End one now
    Cancel {
        /// Availability zone; REGION/AZ where several regions have one of that name
        az: String,
    },
    /// Show those that are not over
    List,
}

impl ZonalShiftCommand {
    /// Runs the verb and returns what goes to standard output.
    pub async fn run(&self, client: &Client, format: Format) -> Result<String, Error> {
        match self {
            Self::Start { az, expires_in, comment } => {
                let (region, az) = parts(az);
                let body =
                    json!({ "az": az, "region": region, "expires_in_s": expires_in, "comment": comment });
                let shift: ZonalShiftStatus = client.json(Method::POST, ROOT, &body).await?;
                Ok(match format {
                    Format::Json => pretty(&shift),
                    Format::Table => format!(
                        "availability zone {} of region {} is shifted away for {} s",
                        shift.az, shift.region, shift.expires_in_s
                    ),
                })
            }
            Self::Cancel { az } => {
                let (region, az) = parts(az);
                let region = match region {
                    Some(region) => region.to_owned(),
                    None => region_of(client, az).await?,
                };
                let path = format!("{ROOT}/{}/{}", percent_encode(&region), percent_encode(az));
                client.call(Method::DELETE, &path, Vec::new()).await?;
                Ok(match format {
                    Format::Json => pretty(&json!({ "region": region, "az": az })),
                    Format::Table => format!("availability zone {az} of region {region} takes traffic again"),
                })
            }
            Self::List => {
                let list = all(client).await?;
                Ok(match format {
                    Format::Json => pretty(&list),
                    Format::Table => text(&list),
                })
            }
        }
    }
}

/// The region, where one is named, and the zone.
fn parts(text: &str) -> (Option<&str>, &str) {
    text.split_once('/').map_or((None, text), |(region, az)| (Some(region), az))
}

async fn all(client: &Client) -> Result<ZonalShiftList, Error> {
    client.json(Method::GET, ROOT, &Value::Null).await
}

/// The region of the only shifted zone of that name.
async fn region_of(client: &Client, az: &str) -> Result<String, Error> {
    let mut fitting = all(client).await?.zonal_shifts.into_iter().filter(|shift| shift.az == az);
    match (fitting.next(), fitting.next()) {
        (Some(shift), None) => Ok(shift.region),
        (Some(_), Some(_)) => {
            Err(Error::Unexpected(format!("several regions have a shifted zone {az}; name one as REGION/AZ")))
        }
        (None, _) => Err(Error::Unexpected(format!("no zone {az} is shifted away"))),
    }
}

fn text(list: &ZonalShiftList) -> String {
    if list.zonal_shifts.is_empty() {
        return "no availability zone is shifted away".to_owned();
    }
    let row = |shift: &ZonalShiftStatus| {
        let ZonalShiftStatus { region, az, expires_in_s, comment, .. } = shift;
        vec![region.clone(), az.clone(), format!("{expires_in_s} s"), comment.clone()]
    };
    table(&["REGION", "AZ", "ENDS IN", "COMMENT"], list.zonal_shifts.iter().map(row).collect())
}

/// Reads a time such as `90`, `90s`, `15m`, `2h` or `1d`.
fn seconds(text: &str) -> Result<i64, String> {
    let rule = || format!("'{text}' must be seconds, or a whole number with s, m, h or d behind it");
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, text.get(number.len()..).unwrap_or_default()),
        None => (text, "s"),
    };
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 86_400,
    };
    let number: i64 = number.parse().map_err(|_| rule())?;
    number.checked_mul(factor).filter(|seconds| *seconds > 0).ok_or_else(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expect) in [
            ("90", Some(90)),
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("2h", Some(7_200)),
            ("1d", Some(86_400)),
            ("", None),
            ("h", None),
            ("1.5h", None),
            ("-1m", None),
            ("0", None),
            ("99999999999999999d", None),
        ] {
            assert_eq!(seconds(text).ok(), expect, "{text}");
        }
    }
}
