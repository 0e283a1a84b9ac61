//! Who wants something changed, and in which generation.

use axum::extract::FromRequestParts;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use tokio::task::spawn_blocking;

use super::answer::{Answer, Created};
use super::peer::Peer;
use super::{ApiError, Code, Edited};
use crate::config::{Quoted, Refusal};
use crate::daemon::{Edit, Handle, Who};

/// Whoever sends a request that changes something.
pub(super) struct Editor {
    pub(super) engine: Handle,
    pub(super) who: Who,
    /// The generation that the request is made for, if it says so: `If-Match: "42"`.
    pub(super) generation: Option<u64>,
}

impl Editor {
    /// Makes an edit.
    pub(super) async fn edit(self, edit: Edit) -> Answer<Edited> {
        let Self { engine, who, generation } = self;
        Ok(engine.edit(edit, who, generation).await?.into())
    }

    /// Makes an edit that adds something.
    pub(super) async fn add(self, edit: Edit) -> Created<Edited> {
        Ok((StatusCode::CREATED, self.edit(edit).await?))
    }
}

impl FromRequestParts<Handle> for Editor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, engine: &Handle) -> Result<Self, ApiError> {
        let generation = made_for(&parts.headers)?;
        let Some(&Peer { uid, process }) = parts.extensions.get() else {
            return Err(ApiError::new(Code::Unavailable, "dproxy does not know who sends this request"));
        };
        // To find a user's name, the host may have to ask others.
        let who = spawn_blocking(move || Who::peer(uid, process)).await;
        let who = who.map_err(|error| ApiError::new(Code::Unavailable, error.to_string()))?;
        Ok(Self { engine: engine.clone(), who, generation })
    }
}

fn made_for(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let mut given = headers.get_all(IF_MATCH).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let is_number = bare.bytes().all(|octet| octet.is_ascii_digit());
    match (text, bare.parse()) {
        ("*", _) if given.next().is_none() => Ok(None),
        (_, Ok(generation)) if is_number && given.next().is_none() => Ok(Some(generation)),
        _ => Err(ApiError::refused(
            "If-Match",
            Refusal {
                what: format!("{} is not a generation", Quoted(&String::from_utf8_lossy(value.as_bytes()))),
                allowed: "one number as in ETag, \"42\"; or * for any generation".to_owned(),
            },
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&'static str]) -> Result<Option<u64>, ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, value.parse().unwrap());
        }
        made_for(&headers)
    }

    #[test]
    fn generations_of_if_match() {
        for (values, generation) in [
            (vec![], None),
            (vec!["*"], None),
            (vec!["42"], Some(42)),
            (vec!["\"42\""], Some(42)),
            (vec![" \"0\" "], Some(0)),
        ] {
            assert_eq!(of(&values), Ok(generation), "{values:?}");
        }
        for values in [
            vec![""],
            vec!["\"\""],
            vec!["\""],
            vec!["x"],
            vec!["+1"],
            vec!["\"1\", \"2\""],
            vec!["W/\"1\""],
            vec!["1", "2"],
            vec!["*", "2"],
            vec!["ü"],
            vec!["99999999999999999999"],
        ] {
            let error = of(&values).unwrap_err();
            assert_eq!((error.code, error.detail.place.as_deref()), (Code::Malformed, Some("If-Match")));
        }
    }
}
