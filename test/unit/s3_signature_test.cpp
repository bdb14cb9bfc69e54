#include "s3_signature.h"

#include <gtest/gtest.h>

#include <string>

#include "vectors.h"

namespace auditchain::cli {
namespace {

constexpr std::uint64_t kTime = 1369353600;  // 2013-05-24T00:00:00Z, of the examples

S3Request example(const nlohmann::json& vector, Sha256& sha256) {
    S3Request request;
    request.method = vector["method"];
    request.path = s3_encode_path(vector["path"].get<std::string>());
    request.query = vector["query"].get<std::map<std::string, std::string>>();
    request.headers = vector["headers"].get<std::map<std::string, std::string>>();
    request.headers["host"] = "examplebucket.s3.amazonaws.com";
    request.content_sha256 = to_hex(sha256({vector["body"].get<std::string>()}));
    return request;
}

TEST(S3Signature, AgreesWithThePublishedExamples) {
    Sha256 sha256;
    S3Credentials credentials;
    credentials.id = "AKIAIOSFODNN7EXAMPLE";
    credentials.secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    for (const auto& vector : test::read_vectors("s3_signatures.jsonl")) {
        S3Request request = example(vector, sha256);
        s3_sign(sha256, credentials, "us-east-1", kTime, &request);
        EXPECT_EQ(request.headers["authorization"],
                  "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
                  "aws4_request, SignedHeaders=" +
                      vector["signed_headers"].get<std::string>() +
                      ", Signature=" + vector["signature"].get<std::string>())
            << vector["name"];
    }
}

TEST(S3Signature, CoversAllOfARequest) {
    Sha256 sha256;
    const auto vectors = test::read_vectors("s3_signatures.jsonl");
    const auto sign = [&](const auto& change) {
        S3Request request = example(vectors.front(), sha256);
        S3Credentials credentials;
        credentials.secret = "secret";
        std::string region = "us-east-1";
        std::uint64_t time = kTime;
        change(request, credentials, region, time);
        s3_sign(sha256, credentials, region, time, &request);
        return request.headers["authorization"];
    };
    const auto same = [](auto&...) {};
    const std::string signature = sign(same);
    EXPECT_EQ(sign(same), signature);
    EXPECT_NE(sign([](auto& r, auto&...) { r.method = "PUT"; }), signature);
    EXPECT_NE(sign([](auto& r, auto&...) { r.path += "x"; }), signature);
    EXPECT_NE(sign([](auto& r, auto&...) { r.query["versionId"] = "1"; }), signature);
    EXPECT_NE(sign([](auto& r, auto&...) { r.headers["range"] = "bytes=0-8"; }), signature);
    EXPECT_NE(sign([](auto& r, auto&...) { r.content_sha256[0] ^= 1; }), signature);
    EXPECT_NE(sign([](auto&, auto& c, auto&...) { c.secret += "x"; }), signature);
    EXPECT_NE(sign([](auto&, auto& c, auto&...) { c.token = "token"; }), signature);
    EXPECT_NE(sign([](auto&, auto&, auto& region, auto&) { region = "us-west-1"; }), signature);
    EXPECT_NE(sign([](auto&, auto&, auto&, auto& time) { ++time; }), signature);
}

TEST(S3Signature, EncodesWhatIsNotPlain) {
    EXPECT_EQ(s3_encode_path("/a b/+=%~é.tar"), "/a%20b/%2B%3D%25~%C3%A9.tar");
    EXPECT_EQ(s3_encode_query({{"retention", ""}, {"versionId", "a/b=="}}),
              "retention=&versionId=a%2Fb%3D%3D");
    EXPECT_EQ(s3_encode_query({}), "");
}

}  // namespace
}  // namespace auditchain::cli
