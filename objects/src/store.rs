//! One client for each bucket, made from the usual environment variables.
//!
//! | scheme | who asks | where |
//! |---|---|---|
//! | `s3` | `AWS_ACCESS_KEY_ID`, …, or the role of the machine or container | `AWS_REGION`, `AWS_ENDPOINT_URL` |
//! | `gs` | `GOOGLE_APPLICATION_CREDENTIALS`, or the account of the machine | `STORAGE_EMULATOR_HOST` |
//! | `az` | `AZURE_STORAGE_ACCOUNT_NAME` and `…_KEY`, `…_SAS_KEY`, or an identity | `AZURE_STORAGE_ENDPOINT` |

use std::collections::HashMap;
use std::env;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::http::HttpBuilder;
use object_store::memory::InMemory;
use object_store::{BackoffConfig, ObjectStore, RetryConfig, StaticCredentialProvider};

use crate::address::{Address, Scheme};
use crate::error::ObjectError;
use crate::http::Connector;

/// A store that can be asked, for use by many threads.
pub(crate) type Store = Arc<dyn ObjectStore>;

/// The clients that were made: a bucket's connections and credentials are those of all its objects.
static STORES: LazyLock<Mutex<HashMap<(Scheme, String), Store>>> = LazyLock::new(Mutex::default);

/// Returns the store that an address is in.
///
/// # Errors
///
/// The environment does not say enough to ask it.
pub(crate) fn store_of(address: &Address) -> Result<Store, ObjectError> {
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (address.scheme(), address.bucket().to_owned());
    if let Some(store) = stores.get(&key) {
        return Ok(store.clone());
    }
    let store = make(address).map_err(|wrong| ObjectError::Setup {
        address: address.clone(),
        reason: wrong.to_string(),
    })?;
    stores.insert(key, store.clone());
    Ok(store)
}

fn make(address: &Address) -> Result<Store, object_store::Error> {
    let bucket = address.bucket();
    Ok(match address.scheme() {
        Scheme::S3 => {
            // A store of one's own has often no TLS, and its address then says so.
            let plain = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
                .iter()
                .any(|name| variable(name).is_some_and(|url| url.starts_with("http://")));
            let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
            let builder = if plain { builder.with_allow_http(true) } else { builder };
            Arc::new(builder.with_retry(retries()).with_http_connector(Connector).build()?)
        }
        Scheme::Gs => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
            let builder = match variable("STORAGE_EMULATOR_HOST") {
                Some(host) if host.contains("://") => emulated(builder, &host),
                Some(host) => emulated(builder, &format!("http://{host}")),
                None => builder,
            };
            Arc::new(builder.with_retry(retries()).with_http_connector(Connector).build()?)
        }
        Scheme::Az => {
            let plain = variable("AZURE_STORAGE_ENDPOINT").or_else(|| variable("AZURE_ENDPOINT"));
            let builder = MicrosoftAzureBuilder::from_env().with_container_name(bucket);
            let builder = if plain.is_some_and(|url| url.starts_with("http://")) {
                builder.with_allow_http(true)
            } else {
                builder
            };
            Arc::new(builder.with_retry(retries()).with_http_connector(Connector).build()?)
        }
        scheme @ (Scheme::Https | Scheme::Http) => {
            let builder = HttpBuilder::new().with_url(format!("{}{bucket}", scheme.prefix()));
            Arc::new(builder.with_retry(retries()).with_http_connector(Connector).build()?)
        }
        Scheme::Memory => Arc::new(InMemory::new()),
    })
}

/// Asks an emulator in place of Google. It wants no signature, and nobody is asked for a token: writes would ask the
/// machine's account for one, whatever is said of signatures.
fn emulated(builder: GoogleCloudStorageBuilder, url: &str) -> GoogleCloudStorageBuilder {
    let nobody = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
    builder.with_base_url(url).with_skip_signature(true).with_credentials(Arc::new(nobody))
}

/// How a request that failed is made again: a store that is asked to slow down has a minute to recover.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        max_retries: 10,
        retry_timeout: Duration::from_secs(90),
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
