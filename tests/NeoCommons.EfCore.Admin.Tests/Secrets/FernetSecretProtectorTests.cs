using System.Text;
using Microsoft.Extensions.Time.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Secrets;

public class FernetSecretProtectorTests
{
    private const string Key = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    private const string OtherKey = "bm90LXRoZS1zYW1lLWtleS1hcy10aGUtZmlyc3Qtb24=";
    private const string Canary = "c4n4ry-s3cr3t";

    private readonly FernetSecretProtector _protector = Make(Key);

    public static TheoryData<string> Secrets =>
        ["", "x", "sixteen byte txt", "pässwörd ☃ 密码 🔑", "' \" \\ ; % \n \0", new string('x', 10_000)];

    [Theory]
    [MemberData(nameof(Secrets))]
    public void A_secret_comes_back(string secret)
    {
        Assert.Equal(secret, _protector.Unprotect(_protector.Protect(secret)));
    }

    [Fact]
    public void The_same_secret_gives_another_token_each_time()
    {
        Assert.NotEqual(_protector.Protect(Canary), _protector.Protect(Canary));
    }

    [Fact]
    public void A_token_carries_the_time_of_the_clock()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UnixEpoch.AddSeconds(499162800));
        var token = new FernetSecretProtector(FernetKeys.Parse(Key), clock).Protect("hello");

        Assert.StartsWith("gAAAAAAdwJ6w", token);
    }

    [Fact]
    public void A_token_of_long_ago_is_still_read()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UnixEpoch);
        var token = new FernetSecretProtector(FernetKeys.Parse(Key), clock).Protect(Canary);

        Assert.Equal(Canary, _protector.Unprotect(token));
    }

    [Fact]
    public void White_space_around_a_token_is_forgiven()
    {
        Assert.Equal(Canary, _protector.Unprotect($" {_protector.Protect(Canary)}\r\n"));
    }

    [Fact]
    public void A_wrong_key_and_a_damaged_token_are_told_apart()
    {
        var token = Make(OtherKey).Protect(Canary);

        Assert.Equal(FernetResult.Unverified, _protector.TryUnprotect(token, out var secret));
        Assert.Null(secret);
        Assert.Equal(FernetResult.Malformed, _protector.TryUnprotect(token[..^4], out secret));
        Assert.Null(secret);
        Assert.Equal(FernetResult.Malformed, _protector.TryUnprotect("a password in clear", out secret));
        Assert.Null(secret);
        Assert.Equal(FernetResult.Malformed, _protector.TryUnprotect("", out secret));
        Assert.Null(secret);
        Assert.Equal(FernetResult.Ok, Make($"{Key},{OtherKey}").TryUnprotect(token, out secret));
        Assert.Equal(Canary, secret);
    }

    [Fact]
    public void A_token_that_holds_no_text_is_malformed()
    {
        var token = Fernet.Encrypt(FernetKeys.Parse(Key).Primary, [0xC3, 0x28], DateTimeOffset.UnixEpoch);

        Assert.Equal(FernetResult.Malformed, _protector.TryUnprotect(token, out _));
    }

    [Fact]
    public void A_wrong_key_names_the_setting_and_the_remedy()
    {
        var fault = Assert.Throws<SecretDecryptionException>(() => _protector.Unprotect(Make(OtherKey).Protect("x")));

        Assert.Contains("DB_ENCRYPTION_KEY", fault.Message);
        Assert.Contains("end of the list", fault.Message);
    }

    [Fact]
    public void No_exception_holds_a_key_a_token_or_a_secret()
    {
        var foreign = Make(OtherKey).Protect(Canary);
        var notText = Fernet.Encrypt(
            FernetKeys.Parse(Key).Primary,
            [.. Encoding.UTF8.GetBytes(Canary), 0xC3, 0x28],
            DateTimeOffset.UnixEpoch
        );
        Exception[] faults =
        [
            Assert.Throws<SecretDecryptionException>(() => _protector.Unprotect(foreign)),
            Assert.Throws<SecretDecryptionException>(() => _protector.Unprotect(foreign[..^1])),
            Assert.Throws<SecretDecryptionException>(() => _protector.Unprotect(Canary)),
            Assert.Throws<SecretDecryptionException>(() => _protector.Unprotect(notText)),
            Assert.Throws<ArgumentException>(() => _protector.Protect(Canary + '\uD800')),
        ];

        foreach (var text in faults.Select(fault => fault.ToString()))
        {
            foreach (var hidden in new[] { Canary, Key, OtherKey, foreign, foreign[..^1], notText, "D800" })
            {
                Assert.DoesNotContain(hidden, text);
            }
        }
    }

    [Fact]
    public void A_protector_prints_nothing_of_itself()
    {
        Assert.Equal(typeof(FernetSecretProtector).FullName, _protector.ToString());
    }

    [Fact]
    public void Many_threads_can_share_one_protector()
    {
        Parallel.For(
            0,
            2_000,
            i => Assert.Equal($"{Canary}{i}", _protector.Unprotect(_protector.Protect($"{Canary}{i}")))
        );
    }

    private static FernetSecretProtector Make(string keys) => new(FernetKeys.Parse(keys), TimeProvider.System);
}
