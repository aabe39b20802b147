//! Changes of a region that starts. A cluster that has no leader for a moment, or whose disk stands still, answers 503: a change was not
//! taken, or nobody can say whether it was.

use std::time::Duration;

use http::StatusCode;
use tidegate_cli::Error;
use tokio::time::{Instant, sleep};

use super::DevError;

/// Between attempts; the answers say to come again after a second.
const PAUSE: Duration = Duration::from_secs(1);

/// Does `step` until its change is made, at most for `patience`. `step` has to begin with what makes its change harmless to repeat:
/// most often by reading whether it has been made.
///
/// # Errors
/// What `step` says, when that is not 503 or patience is over.
pub(crate) async fn settled<T, E: Into<DevError>>(
    patience: Duration,
    mut step: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, DevError> {
    let deadline = Instant::now() + patience;
    loop {
        let error = match step().await.map_err(E::into) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !is_unavailable(&error) || Instant::now() + PAUSE > deadline {
            return Err(error);
        }
        sleep(PAUSE).await;
    }
}

fn is_unavailable(error: &DevError) -> bool {
    matches!(error, DevError::Client(Error::Answer { status: StatusCode::SERVICE_UNAVAILABLE, .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: StatusCode) -> Error {
        Error::Answer { status, message: "said so".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_unavailable_is_asked_again() {
        for (status, attempts_until_done, done, attempts) in [
            (StatusCode::SERVICE_UNAVAILABLE, 3, true, 3),
            (StatusCode::SERVICE_UNAVAILABLE, 9, false, 5),
            (StatusCode::CONFLICT, 3, false, 1),
        ] {
            let mut made = 0;
            let step = async || {
                made += 1;
                if made < attempts_until_done { Err(answer(status)) } else { Ok(made) }
            };
            let outcome = settled(Duration::from_secs(4), step).await;
            assert_eq!((outcome.is_ok(), made), (done, attempts), "{status} until {attempts_until_done}");
        }
    }
}
