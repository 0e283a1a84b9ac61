//! Bodies of requests: not too large, not too slow.

use std::string::FromUtf8Error;
use std::time::Duration;

use axum::body::{Body as HttpBody, HttpBody as _};
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use super::{ApiError, Code};
use crate::config::Config;

/// Octets of an edit.
const EDIT: usize = 64 << 10;
/// Octets of a whole configuration.
const CONFIGURATION: usize = 128 << 20;
/// Octets of a body that everybody may send at the same time.
const SMALL: usize = 1 << 20;
/// So many bodies that are not small are there at a time, each of which takes memory.
static LARGE: Semaphore = Semaphore::const_new(4);
/// How long a body may make no progress.
const PAUSE: Duration = Duration::from_secs(10);
/// How long all of it may take.
const TOTAL: Duration = Duration::from_secs(60);

/// A JSON body, whatever its content type says: `curl --data` calls everything a form.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (octets, _) = read(request.into_body(), EDIT, Instant::now() + TOTAL).await?;
        // Whoever sends nothing leaves all out that can be left out.
        let octets = if octets.is_empty() { &b"{}"[..] } else { &octets };
        match serde_json::from_slice(octets) {
            Ok(value) => Ok(Self(value)),
            Err(error) => {
                Err(ApiError::new(Code::Malformed, format!("the body is not as it must be: {error}"))
                    .place("body"))
            }
        }
    }
}

/// A whole configuration, in TOML, if there is one, and the room that it takes if it is not small.
pub(super) struct Whole(pub(super) Option<Config>, pub(super) Option<Room>);

/// A place among the bodies that are not small.
type Room = SemaphorePermit<'static>;

/// What errors call a configuration.
const REQUEST: &str = "request";

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (octets, room) = read(request.into_body(), CONFIGURATION, Instant::now() + TOTAL).await?;
        if octets.is_empty() {
            return Ok(Self(None, None));
        }
        let text = String::from_utf8(octets.into()).map_err(|error| not_utf8(&error))?;
        // A large one takes a while, in which others want to be answered.
        let parsed = spawn_blocking(move || Config::parse(&text, REQUEST)).await;
        let config = parsed.map_err(|error| ApiError::new(Code::Unavailable, error.to_string()))??;
        Ok(Self(Some(config), room))
    }
}

fn not_utf8(error: &FromUtf8Error) -> ApiError {
    ApiError::new(Code::Malformed, format!("the body is not UTF-8: {error}"))
        .place("body")
        .allowed("a configuration in TOML")
}

/// Reads a body of up to `limit` octets until `end`, and finds room for it when it turns out not to be small: whoever
/// promises a large one and does not send it is in nobody's way.
async fn read(mut body: HttpBody, limit: usize, end: Instant) -> Result<(Bytes, Option<Room>), ApiError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let (mut octets, mut room) = (BytesMut::new(), None);
    loop {
        let Ok(frame) = timeout(PAUSE.min(end.saturating_duration_since(Instant::now())), body.frame()).await
        else {
            return Err(too_slow(octets.len()));
        };
        let Some(frame) = frame else { return Ok((octets.freeze(), room)) };
        let frame = frame.map_err(|error| {
            ApiError::new(Code::Malformed, format!("the body breaks off: {error}")).place("body")
        })?;
        // What is no data is a trailer, which means nothing here.
        if let Ok(data) = frame.into_data() {
            if octets.len() + data.len() > limit {
                return Err(too_large(limit));
            }
            if room.is_none() && octets.len() + data.len() > SMALL {
                room = Some(find_room(end).await?);
            }
            octets.extend_from_slice(&data);
        }
    }
}

async fn find_room(end: Instant) -> Result<Room, ApiError> {
    match timeout_at(end, LARGE.acquire()).await {
        Ok(Ok(room)) => Ok(room),
        Ok(Err(_)) | Err(_) => {
            let message = "others are sending configurations all the time; try again";
            Err(ApiError::new(Code::Unavailable, message))
        }
    }
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(Code::TooLarge, "the body is too large")
        .place("body")
        .allowed(format!("up to {limit} octets"))
}

fn too_slow(octets: usize) -> ApiError {
    let (pause, total) = (PAUSE.as_secs(), TOTAL.as_secs());
    ApiError::new(Code::TooSlow, format!("the body did not come to its end; {octets} octets came"))
        .place("body")
        .allowed(format!("all of it within {total} s, and no pause of {pause} s"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body as HttpBody;
    use futures_util::stream;

    use super::*;

    fn end() -> Instant {
        Instant::now() + TOTAL
    }

    /// A body of as many pieces as somebody takes, with pauses between.
    fn pieces(pause: Duration) -> HttpBody {
        HttpBody::from_stream(stream::unfold((), move |()| async move {
            tokio::time::sleep(pause).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
        }))
    }

    #[tokio::test]
    async fn a_body_within_its_limit() {
        assert_eq!(read(HttpBody::from("abc"), 3, end()).await.unwrap().0, "abc");
        for body in [HttpBody::from("abcd"), pieces(Duration::ZERO)] {
            assert_eq!(read(body, 3, end()).await.unwrap_err().code, Code::TooLarge);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_not_small_needs_room() {
        let read = async |length| read(HttpBody::from(vec![0; length]), CONFIGURATION, end()).await;
        let others = LARGE.acquire_many(4).await.unwrap();
        assert!(read(SMALL).await.unwrap().1.is_none());
        assert_eq!(read(SMALL + 1).await.unwrap_err().code, Code::Unavailable);
        drop(others);
        assert!(read(SMALL + 1).await.unwrap().1.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_makes_no_progress() {
        let begin = Instant::now();
        let error = read(pieces(Duration::from_secs(11)), 100, end()).await.unwrap_err();
        assert_eq!((error.code, error.status), (Code::TooSlow, 408));
        assert_eq!(begin.elapsed().as_secs(), PAUSE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles() {
        let begin = Instant::now();
        let error = read(pieces(Duration::from_secs(9)), 100, end()).await.unwrap_err();
        assert_eq!(error.code, Code::TooSlow);
        assert!(begin.elapsed() < TOTAL + PAUSE, "{:?}", begin.elapsed());
    }
}
