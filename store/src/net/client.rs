//! Making clients.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{NetError, NetOptions, chain};

/// Returns a builder of clients that use `proxy` for everything, or the proxies of the options.
///
/// Timeouts but for connections, and what is done about redirects, are up to the caller. Reads the machine's certificates, which takes some milliseconds.
pub fn client_builder(
    options: &NetOptions,
    proxy: Option<&str>,
) -> Result<reqwest::ClientBuilder, NetError> {
    let failed = |error: reqwest::Error| NetError::Client {
        message: chain(&error),
    };
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(&options.extra_roots)?)
        .user_agent(concat!("pith/", env!("CARGO_PKG_VERSION")))
        .referer(false)
        .connect_timeout(options.timeouts.connect)
        .no_proxy();
    if let Some(proxy) = proxy {
        return Ok(builder.proxy(reqwest::Proxy::all(proxy).map_err(failed)?));
    }
    let proxies = &options.proxies;
    let direct = || {
        proxies
            .direct
            .as_deref()
            .and_then(reqwest::NoProxy::from_string)
    };
    if let Some(proxy) = &proxies.http {
        let proxy = reqwest::Proxy::http(proxy).map_err(failed)?;
        builder = builder.proxy(proxy.no_proxy(direct()));
    }
    if let Some(proxy) = &proxies.https {
        let proxy = reqwest::Proxy::https(proxy).map_err(failed)?;
        builder = builder.proxy(proxy.no_proxy(direct()));
    }
    Ok(builder)
}

/// The provider is named here rather than installed for the whole process, which is not ours to configure.
fn tls(extra_roots: &[u8]) -> Result<rustls::ClientConfig, NetError> {
    let mut roots = rustls::RootCertStore::empty();
    // A certificate of the machine that cannot be parsed is no reason to trust none of the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots.add_parsable_certificates(
        CertificateDer::pem_slice_iter(extra_roots).filter_map(Result::ok),
    );
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| NetError::Client {
            message: chain(&error),
        })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
