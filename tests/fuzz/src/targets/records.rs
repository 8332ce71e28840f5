//! What lies in the pages that kernel and engine share.

use barellama_abi::boot_info::BootInfo;
use barellama_abi::outcome::Outcome;
use barellama_abi::request::{Request, RequestWriter};

/// Any bytes as a request, an outcome and boot information.
pub fn run(data: &[u8]) {
    if let Some(request) = Request::parse(data) {
        check_request(&request, data);
    }
    if let Some(bytes) = data.first_chunk()
        && let Some(outcome) = Outcome::from_bytes(bytes)
    {
        assert_eq!(outcome.to_bytes(), *bytes, "an outcome is written as it was read");
    }
    if let Some(bytes) = data.first_chunk() {
        let info = BootInfo::from_bytes(bytes);
        assert_eq!(BootInfo::from_bytes(&info.to_bytes()), info);
    }
}

/// What was read can be written and reads the same.
fn check_request(request: &Request<'_>, data: &[u8]) {
    let mut slot = vec![0; data.len() + 16];
    let mut writer = RequestWriter::new(&mut slot, *request.header()).expect("the slot is larger than the request");
    let mut bytes = 0;
    for record in request.records() {
        bytes += record.bytes.len() + 8;
        assert_eq!(record.ids().count(), record.bytes.len() / 4);
        writer.record(record.kind, record.bytes).expect("the slot is larger than the request");
    }
    assert!(bytes <= data.len(), "records lie in the request, each once");
    let length = writer.length();
    let again = Request::parse(&slot[..length]).expect("it was just written");
    assert!(again.records().eq(request.records()));
}
