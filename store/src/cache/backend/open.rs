//! From an address to a back end.

use super::{
    Backend, BackendError, BackendOptions, CacheUrl, address::Place, directory::Directory,
    http::Http, oci::Oci, s3::S3,
};

/// Opens a cache for reading and writing. Asks nobody: whether it is there, the first question shows.
pub fn open_backend(
    url: &CacheUrl,
    options: &BackendOptions,
) -> Result<Box<dyn Backend>, BackendError> {
    Ok(match &url.place {
        Place::Directory(path) => Box::new(Directory::new(url.clone(), path.clone())),
        Place::Http(base) => Box::new(Http::open(url, base, options)?),
        Place::S3(bucket) => Box::new(S3::open(url, bucket, options)?),
        Place::Oci(repository) => Box::new(Oci::open(url, repository, options)?),
    })
}
