//! Paths, the key, and what each path does.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
};
use hyper::{Method, Request, Response, StatusCode};
use ratdata_schemas::TokenId;
use ratdata_tokenize::sft::ChatTemplate;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::answer::{Head, Streamed, Work, stream, whole};
use crate::api_error::ApiError;
use crate::body::{self, AnswerBody};
use crate::engine::{Engine, NotTaken};
use crate::metrics::Metrics;
use crate::model::ServedModel;
use crate::request::{self, Context, Delivery, Fields, Prepared};
use crate::settings::Settings;

/// The status under which an answer is counted that nobody waited for, as proxies have it.
const CLIENT_GONE: u16 = 499;

/// What all connections share.
pub(crate) struct Service {
    pub(crate) model: Arc<ServedModel>,
    pub(crate) engine: Engine,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) settings: Settings,
    /// When the server was started, in seconds since 1970.
    pub(crate) started: u64,
    pub(crate) requests: AtomicU64,
}

/// What there is to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Health,
    Metrics,
    Models,
    TokenizerInfo,
    Tokenize,
    Detokenize,
    Completions,
    ChatCompletions,
}

impl Route {
    const ALL: [Self; 8] = [
        Self::Health,
        Self::Metrics,
        Self::Models,
        Self::TokenizerInfo,
        Self::Tokenize,
        Self::Detokenize,
        Self::Completions,
        Self::ChatCompletions,
    ];

    fn path(self) -> &'static str {
        match self {
            Self::Health => "/health",
            Self::Metrics => "/metrics",
            Self::Models => "/v1/models",
            Self::TokenizerInfo => "/tokenizer_info",
            Self::Tokenize => "/tokenize",
            Self::Detokenize => "/detokenize",
            Self::Completions => "/v1/completions",
            Self::ChatCompletions => "/v1/chat/completions",
        }
    }

    fn allowed(self) -> &'static str {
        if self.method() == Method::GET { "GET" } else { "POST" }
    }

    fn method(self) -> Method {
        match self {
            Self::Health | Self::Metrics | Self::Models | Self::TokenizerInfo => Method::GET,
            Self::Tokenize | Self::Detokenize | Self::Completions | Self::ChatCompletions => {
                Method::POST
            }
        }
    }
}

/// What a path gives.
enum Answer {
    Json(Value),
    Text(String),
    Pieces(tokio::sync::mpsc::Receiver<Bytes>),
}

/// Counts an answer when its last byte is ready.
struct Counted {
    metrics: Arc<Metrics>,
    route: &'static str,
    begun: Instant,
    status: StatusCode,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.metrics.answered(self.route, self.status, self.begun.elapsed());
    }
}

/// Answers a request, with an error where there is no answer.
pub(crate) async fn answer(
    service: Arc<Service>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let path = request.uri().path();
    let route = Route::ALL.into_iter().find(|route| route.path() == path);
    let mut counted = Some(Counted {
        metrics: service.metrics.clone(),
        route: route.map_or("other", Route::path),
        begun: Instant::now(),
        status: StatusCode::from_u16(CLIENT_GONE).unwrap_or(StatusCode::BAD_REQUEST),
    });
    let found = match route {
        None => {
            let message = format!("no path `{path}`");
            Err(ApiError::new(StatusCode::NOT_FOUND, "unknown_path", message))
        }
        Some(route) if request.method() != route.method() => {
            let message = format!("`{path}` takes {}", route.method());
            Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message))
        }
        Some(route) => service.answer(route, request, &mut counted).await,
    };
    let response = match found {
        Ok(Answer::Json(value)) => whole_response(value.to_string(), "application/json"),
        Ok(Answer::Text(text)) => whole_response(text, "text/plain; version=0.0.4; charset=utf-8"),
        Ok(Answer::Pieces(pieces)) => {
            let mut response = Response::new(AnswerBody::Pieces(pieces));
            set(&mut response, CONTENT_TYPE, "text/event-stream; charset=utf-8");
            set(&mut response, CACHE_CONTROL, "no-cache");
            response
        }
        Err(error) => {
            let mut response = whole_response(error.body().to_string(), "application/json");
            *response.status_mut() = error.status;
            if error.status == StatusCode::TOO_MANY_REQUESTS {
                set(&mut response, RETRY_AFTER, "1");
            }
            if let (StatusCode::METHOD_NOT_ALLOWED, Some(route)) = (error.status, route) {
                set(&mut response, ALLOW, route.allowed());
            }
            response
        }
    };
    if let Some(counted) = &mut counted {
        counted.status = response.status();
    }
    Ok(response)
}

fn whole_response(text: String, kind: &'static str) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(Some(text.into())));
    set(&mut response, CONTENT_TYPE, kind);
    response
}

fn set(response: &mut Response<AnswerBody>, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}

impl Service {
    async fn answer(
        self: &Arc<Self>,
        route: Route,
        request: Request<Incoming>,
        counted: &mut Option<Counted>,
    ) -> Result<Answer, ApiError> {
        if let Some(key) = self.settings.key.as_ref().filter(|_| route != Route::Health) {
            let header = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
            if !key.admits(header) {
                let message = "the request has no valid key: `Authorization: Bearer KEY`";
                let status = StatusCode::UNAUTHORIZED;
                return Err(ApiError::new(status, "invalid_api_key", message));
            }
        }
        match route {
            Route::Health if self.engine.is_gone() => Err(ApiError::gone()),
            Route::Health => Ok(Answer::Json(json!({"status": "ok"}))),
            Route::Metrics => Ok(Answer::Text(self.metrics.text())),
            Route::Models => Ok(Answer::Json(self.models())),
            Route::TokenizerInfo => Ok(Answer::Json(self.tokenizer_info())),
            Route::Tokenize => {
                let prepare = |service: &Self, fields: &Fields| service.tokenize(fields);
                Ok(Answer::Json(self.prepared(request, prepare).await?))
            }
            Route::Detokenize => {
                let prepare = |service: &Self, fields: &Fields| service.detokenize(fields);
                Ok(Answer::Json(self.prepared(request, prepare).await?))
            }
            Route::Completions => self.generate(request, request::completion, counted).await,
            Route::ChatCompletions => self.generate(request, request::chat, counted).await,
        }
    }

    /// Reads a body and works on it on a thread of its own: to parse and to encode megabytes would
    /// keep other connections waiting.
    async fn prepared<T: Send + 'static>(
        self: &Arc<Self>,
        request: Request<Incoming>,
        prepare: impl FnOnce(&Self, &Fields) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let limits = &self.settings.limits;
        let body = timeout(limits.client, body::read(request.into_body(), limits.body)).await;
        let body = body.map_err(|_| {
            let message = format!("the body took longer than {} s", limits.client.as_secs());
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message)
        })??;
        let service = self.clone();
        let work = move || prepare(&service, &Fields::read(&body)?);
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
            let message = "the request made the server fail";
            Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "server_failed", message))
        })
    }

    async fn generate(
        self: &Arc<Self>,
        request: Request<Incoming>,
        read: fn(&Fields, &Context<'_>) -> Result<Prepared, ApiError>,
        counted: &mut Option<Counted>,
    ) -> Result<Answer, ApiError> {
        let prepare = move |service: &Self, fields: &Fields| {
            read(fields, &Context { model: &service.model, limits: &service.settings.limits })
        };
        let prepared = self.prepared(request, prepare).await?;
        let answers = self.engine.submit(prepared.rows.clone()).map_err(|wrong| match wrong {
            NotTaken::Gone => ApiError::gone(),
            NotTaken::Full => {
                let message = format!(
                    "the server is busy: it makes {} answers at a time; try again later",
                    self.settings.limits.rows
                );
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message)
            }
        })?;
        self.metrics.add_prompt_tokens(prepared.prompt_tokens);
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let work = Work::new(Head::new(&self.model, &prepared, number), &prepared, answers);
        let limits = &self.settings.limits;
        match prepared.delivery {
            Delivery::Whole => {
                let done = timeout(limits.answer, whole(work)).await;
                done.unwrap_or_else(|_| Err(ApiError::late(limits.answer.as_secs())))
                    .map(Answer::Json)
            }
            Delivery::Stream { usage } => {
                let (answer, client) = (limits.answer, limits.client);
                // It is counted when its last piece is made.
                let mut ended = counted.take();
                if let Some(counted) = &mut ended {
                    counted.status = StatusCode::OK;
                }
                Ok(Answer::Pieces(stream(work, Streamed { usage, answer, client }, ended)))
            }
        }
    }

    fn models(&self) -> Value {
        let ServedModel { name, longest, .. } = &*self.model;
        json!({"object": "list", "data": [{
            "id": name, "object": "model", "created": self.started, "owned_by": "ratdata",
            "max_model_len": longest,
        }]})
    }

    fn tokenizer_info(&self) -> Value {
        let ServedModel { tokenizer, template, .. } = &*self.model;
        let piece = |id| self.model.piece(id);
        json!({
            "eos_token": piece(tokenizer.eos()), "bos_token": piece(tokenizer.bos()),
            "pad_token": piece(tokenizer.pad()), "unk_token": piece(tokenizer.unk()),
            "chat_template": template.as_ref().map(ChatTemplate::source),
        })
    }

    /// Neither BOS nor EOS is added, whatever `add_special_tokens` says: the model has not seen a BOS.
    fn tokenize(&self, fields: &Fields) -> Result<Value, ApiError> {
        let expected = "a text";
        let prompt = match fields.get("prompt") {
            Some(Value::String(prompt)) => prompt,
            Some(other) => return Err(request::wrong("prompt", other, expected)),
            None => {
                return Err(ApiError::of_field(
                    "prompt",
                    format!("`prompt` is missing: {expected}"),
                ));
            }
        };
        let tokens = request::encode(prompt, &self.model.tokenizer)?;
        Ok(json!({
            "count": tokens.len(), "max_model_len": self.model.longest, "tokens": tokens,
        }))
    }

    fn detokenize(&self, fields: &Fields) -> Result<Value, ApiError> {
        let id = |value: &Value| TokenId::try_from(value.as_u64()?).ok();
        let value = fields.get("tokens").unwrap_or(&Value::Null);
        let ids: Option<Vec<TokenId>> =
            value.as_array().and_then(|list| list.iter().map(id).collect());
        let ids = ids.ok_or_else(|| request::wrong("tokens", value, "a list of ids"))?;
        let size = self.model.tokenizer.vocab_size();
        if let Some(id) = ids.iter().find(|&&id| id >= size) {
            let message = format!("`tokens` has the id {id}, the tokenizer's ids are below {size}");
            return Err(ApiError::of_field("tokens", message));
        }
        Ok(json!({"prompt": self.model.tokenizer.decode(&ids)}))
    }
}
