//! A real server of S3's language: moto, from Python's package index. What it holds is gone when it ends.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{Output, Python, pebble::free_address, within};

const START_LIMIT: Duration = Duration::from_mins(1);
const NAME: &str = "paas-backups";
/// Says what it is asked as JSON.
const ASK: &str = "
import sys, json, base64, boto3
what, endpoint, bucket, key = sys.argv[1:]
s3 = boto3.client('s3', endpoint_url=endpoint, region_name='us-east-1', aws_access_key_id='a', aws_secret_access_key='b')
if what == 'make':
    said = str(s3.create_bucket(Bucket=bucket))
elif what == 'objects':
    said = {one['Key']: one['Size'] for one in s3.list_objects_v2(Bucket=bucket).get('Contents', [])}
elif what == 'uploads':
    said = [one['UploadId'] for one in s3.list_multipart_uploads(Bucket=bucket).get('Uploads', [])]
elif what == 'read':
    said = base64.b64encode(s3.get_object(Bucket=bucket, Key=key)['Body'].read()).decode()
print(json.dumps(said))
";

/// A running server with a bucket, once [`Self::make`] was called. Dropping it ends it.
pub struct Bucket {
    python: Python,
    address: SocketAddr,
    server: Option<Child>,
}

impl Bucket {
    #[track_caller]
    pub fn start() -> Self {
        let python = Python::with("moto", &[&["moto[server,s3]==5.2.5", "boto3==1.44.5"]]);
        let mut bucket = Self {
            python,
            address: free_address(),
            server: None,
        };
        bucket.start_again();
        bucket
    }

    /// With nothing in it.
    #[track_caller]
    pub fn start_again(&mut self) {
        let server = Command::new(self.python.folder().join("venv/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &self.address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.server = Some(server.expect("moto starts"));
        let listens = within(START_LIMIT, || TcpStream::connect(self.address).ok());
        assert!(listens.is_some(), "moto does not listen");
    }

    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // It may have ended by itself.
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn name(&self) -> &'static str {
        NAME
    }

    /// Makes the bucket on the server.
    #[track_caller]
    pub fn make(&self) {
        self.ask("make", "");
    }

    /// The keys of what is in it, and how many bytes that is.
    #[track_caller]
    pub fn objects(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(self.ask("objects", "")).expect("keys and lengths")
    }

    /// Uploads that have not ended.
    #[track_caller]
    pub fn uploads(&self) -> Vec<String> {
        serde_json::from_value(self.ask("uploads", "")).expect("names of uploads")
    }

    #[track_caller]
    pub fn read(&self, key: &str) -> Vec<u8> {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        let said: String = serde_json::from_value(self.ask("read", key)).expect("text");
        BASE64_STANDARD.decode(said).expect("base64")
    }

    #[track_caller]
    fn ask(&self, what: &str, key: &str) -> Value {
        let mut command = self.python.command();
        command.args(["-c", ASK, what, &self.url(), NAME, key]);
        Output::of(&mut command, "").expect_success().json()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.stop();
    }
}
