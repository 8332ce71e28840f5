//! What a request says about itself: method, revision, progress token.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::logging::LogLevel;
use crate::id::{ProgressToken, RequestId};
use crate::message::{Params, is_object, present, string};
use crate::revision::Revision;
use crate::rpc_error::{RpcError, code};

/// A method of either era.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Initialize,
    Discover,
    Ping,
    ToolsList,
    ToolsCall,
    ResourcesList,
    TemplatesList,
    ResourcesRead,
    PromptsList,
    PromptsGet,
    Complete,
    SetLevel,
    Listen,
}

impl Method {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "initialize" => Self::Initialize,
            "server/discover" => Self::Discover,
            "ping" => Self::Ping,
            "tools/list" => Self::ToolsList,
            "tools/call" => Self::ToolsCall,
            "resources/list" => Self::ResourcesList,
            "resources/templates/list" => Self::TemplatesList,
            "resources/read" => Self::ResourcesRead,
            "prompts/list" => Self::PromptsList,
            "prompts/get" => Self::PromptsGet,
            "completion/complete" => Self::Complete,
            "logging/setLevel" => Self::SetLevel,
            "subscriptions/listen" => Self::Listen,
            _ => return None,
        })
    }

    fn is_known_to(self, revision: Revision) -> bool {
        match self {
            Self::Initialize | Self::Ping | Self::SetLevel => !revision.is_modern(),
            Self::Discover | Self::Listen => revision.is_modern(),
            _ => true,
        }
    }
}

/// A request whose frame is right.
pub(super) struct Resolved {
    pub method: Method,
    pub revision: Revision,
    pub progress_token: Option<ProgressToken>,
}

#[derive(Default, Deserialize)]
struct WithMeta<'a> {
    #[serde(borrow, default, deserialize_with = "present", rename = "_meta")]
    meta: Params<'a>,
}

#[derive(Default, Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default, deserialize_with = "present", rename = "progressToken")]
    progress_token: Params<'a>,
    #[serde(borrow, default, deserialize_with = "present", rename = "io.modelcontextprotocol/protocolVersion")]
    protocol_version: Params<'a>,
    #[serde(borrow, default, deserialize_with = "present", rename = "io.modelcontextprotocol/clientCapabilities")]
    client_capabilities: Params<'a>,
    #[serde(borrow, default, deserialize_with = "present", rename = "io.modelcontextprotocol/clientInfo")]
    client_info: Params<'a>,
    #[serde(borrow, default, deserialize_with = "present", rename = "io.modelcontextprotocol/logLevel")]
    log_level: Params<'a>,
}

/// Finds out by which revision a request has to be answered.
pub(super) fn resolve(method: &str, params: Params<'_>, session: Option<Revision>) -> Result<Resolved, RpcError> {
    let unknown = || RpcError::new(code::METHOD_NOT_FOUND, format_args!("Method not found: {method}"));
    let known = Method::from_name(method);
    let meta = read_meta(params)?;
    let revision = match (modern_revision(&meta)?, session) {
        (Some(revision), _) => revision,
        (None, Some(revision)) => revision,
        (None, None) => revision_without_session(known.ok_or_else(unknown)?)?,
    };
    let method = known.filter(|method| method.is_known_to(revision)).ok_or_else(unknown)?;
    let progress_token = match meta.progress_token.map(RequestId::from_json) {
        None => None,
        Some(Some(token)) => Some(token),
        Some(None) => {
            return Err(RpcError::params("Invalid params: \"progressToken\" must be an integer or a short string"));
        }
    };
    Ok(Resolved { method, revision, progress_token })
}

/// Before a session only its beginning and a ping make sense without a revision.
fn revision_without_session(method: Method) -> Result<Revision, RpcError> {
    match method {
        Method::Initialize | Method::Ping => Ok(Revision::LATEST_WITH_HANDSHAKE),
        _ => Err(RpcError::params(
            "Invalid params: _meta[\"io.modelcontextprotocol/protocolVersion\"] is missing, and there was no initialize",
        )),
    }
}

fn read_meta(params: Params<'_>) -> Result<Meta<'_>, RpcError> {
    let Some(params) = params else { return Ok(Meta::default()) };
    let with_meta: WithMeta<'_> = typed(params)?;
    match with_meta.meta {
        None => Ok(Meta::default()),
        Some(meta) if is_object(meta) => typed(meta),
        Some(_) => Err(RpcError::params("Invalid params: \"_meta\" must be an object")),
    }
}

/// The revision that the request carries; `None` if it carries none.
fn modern_revision(meta: &Meta<'_>) -> Result<Option<Revision>, RpcError> {
    let Some(version) = meta.protocol_version else { return Ok(None) };
    let version =
        string(version).ok_or_else(|| RpcError::params("Invalid params: \"protocolVersion\" must be a string"))?;
    let revision = Revision::without_handshake(&version).ok_or_else(|| RpcError::unsupported_version(&version))?;
    if !meta.client_capabilities.is_some_and(is_object) {
        return Err(RpcError::params(
            "Invalid params: _meta[\"io.modelcontextprotocol/clientCapabilities\"] must be an object",
        ));
    }
    if meta.client_info.is_some_and(|info| !is_object(info)) {
        return Err(RpcError::params("Invalid params: \"clientInfo\" must be an object"));
    }
    let is_level = |level| string(level).is_some_and(|level| LogLevel::from_name(&level).is_some());
    if meta.log_level.is_some_and(|level| !is_level(level)) {
        return Err(RpcError::params("Invalid params: \"logLevel\" is no level"));
    }
    Ok(Some(revision))
}

/// Reads typed parameters.
pub(super) fn typed<'a, T: Deserialize<'a>>(params: &'a RawValue) -> Result<T, RpcError> {
    serde_json::from_str(params.get()).map_err(|error| RpcError::params(format_args!("Invalid params: {error}")))
}

/// Reads typed parameters of a method that cannot do without.
pub(super) fn required<'a, T: Deserialize<'a>>(params: Params<'a>) -> Result<T, RpcError> {
    typed(params.ok_or_else(|| RpcError::params("Invalid params: \"params\" is missing"))?)
}

/// Whether a list is asked for from a cursor on.
pub(super) fn has_cursor(params: Params<'_>) -> bool {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        cursor: Option<&'a RawValue>,
    }
    params.is_some_and(|params| typed::<Page<'_>>(params).map_or(true, |page| page.cursor.is_some()))
}

/// The request that a cancel means.
pub(super) fn cancelled_id(params: Params<'_>) -> Option<RequestId> {
    #[derive(Deserialize)]
    struct Cancelled<'a> {
        #[serde(borrow, rename = "requestId")]
        request_id: &'a RawValue,
    }
    let params = params.filter(|params| is_object(params))?;
    RequestId::from_json(typed::<Cancelled<'_>>(params).ok()?.request_id)
}
