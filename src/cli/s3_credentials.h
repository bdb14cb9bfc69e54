// Where the keys of an object store come from: never from the command line, which others can see.
#pragma once

#include <string>

#include "s3_signature.h"

namespace auditchain::cli {

/// Read the credentials: of the section [default] of a file as the AWS tools have it, or, where the
/// path is empty, of the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN).
/// Throws Unusable if they are not there.
void read_s3_credentials(const std::string& path, S3Credentials* credentials);

}  // namespace auditchain::cli
