using System.Text;

namespace NeoCommons.EfCore.Admin.Tests.Secrets;

/// <summary>The vectors of https://github.com/fernet/spec: generate.json, verify.json and invalid.json.</summary>
public class FernetVectorTests
{
    private const string Hello =
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";

    private static readonly FernetKeys Keys = FernetKeys.Parse("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=");
    private static readonly TimeSpan Ttl = TimeSpan.FromSeconds(60);

    [Fact]
    public void The_vector_of_generate_json_is_made()
    {
        byte[] iv = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        var now = DateTimeOffset.Parse("1985-10-26T01:20:00-07:00");

        Assert.Equal(Hello, Fernet.Encrypt(Keys.Primary, "hello"u8, now, iv));
    }

    [Fact]
    public void The_vector_of_verify_json_is_read()
    {
        var now = DateTimeOffset.Parse("1985-10-26T01:20:01-07:00");

        Assert.Equal(FernetResult.Ok, Fernet.Decrypt(Keys, Hello, out var message, Ttl, now));
        Assert.Equal("hello", Encoding.UTF8.GetString(message));
    }

    [Theory]
    [InlineData(
        "incorrect mac",
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUFBQUFBQUFBQQ==",
        "1985-10-26T01:20:01-07:00",
        "Unverified"
    )]
    [InlineData(
        "too short",
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA==",
        "1985-10-26T01:20:01-07:00",
        "Malformed"
    )]
    [InlineData(
        "invalid base64",
        "%%%%%%%%%%%%%AECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==",
        "1985-10-26T01:20:01-07:00",
        "Malformed"
    )]
    [InlineData(
        "payload size not multiple of block size",
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPOm73QeoCk9uGib28Xe5vz6oxq5nmxbx_v7mrfyudzUm",
        "1985-10-26T01:20:01-07:00",
        "Malformed"
    )]
    [InlineData(
        "payload padding error",
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6CnJNYIbkuKNqOhw==",
        "1985-10-26T01:20:01-07:00",
        "Malformed"
    )]
    [InlineData(
        "far-future TS (unacceptable clock skew)",
        "gAAAAAAdwStRAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAnja1xKYyhd-Y6mSkTOyTGJmw2Xc2a6kBd-iX9b_qXQcw==",
        "1985-10-26T01:20:01-07:00",
        "Expired"
    )]
    [InlineData(
        "expired TTL",
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==",
        "1985-10-26T01:21:31-07:00",
        "Expired"
    )]
    [InlineData(
        "incorrect IV (causes padding error)",
        "gAAAAAAdwJ6xBQECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAkLhFLHpGtDBRLRTZeUfWgHSv49TF2AUEZ1TIvcZjK1zQ==",
        "1985-10-26T01:20:01-07:00",
        "Malformed"
    )]
    public void A_vector_of_invalid_json_is_refused(string description, string token, string now, string expected)
    {
        var result = Fernet.Decrypt(Keys, token, out var message, Ttl, DateTimeOffset.Parse(now));

        Assert.True(expected == result.ToString(), $"{description}: {result}");
        Assert.Empty(message);
    }

    [Fact]
    public void A_token_without_a_time_to_live_never_grows_old()
    {
        Assert.Equal(FernetResult.Ok, Fernet.Decrypt(Keys, Hello, out _));
    }
}
