using System.Text;
using Microsoft.Extensions.Time.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Secrets;

public class FernetSecretsTests
{
    private const string Key = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    private const string OtherKey = "bm90LXRoZS1zYW1lLWtleS1hcy10aGUtZmlyc3Qtb24=";
    private const string Canary = "c4n4ry-s3cr3t";

    private static readonly SecretTarget Here = new("db.example.com", 5432, "shop", "app");

    private readonly FernetSecrets _secrets = Make(Key);

    public static TheoryData<string> Secrets =>
        [
            "",
            "x",
            "sixteen byte txt",
            "pässwörd ☃ 密码 🔑",
            "' \" \\ ; % \n \0",
            "{\"host\":\"h\"}",
            new string('x', 10_000),
        ];

    public static TheoryData<string, int, string, string> OtherTargets =>
        new()
        {
            { "db.example.org", 5432, "shop", "app" },
            { "DB.example.com", 5432, "shop", "app" },
            { "db.example.com.", 5432, "shop", "app" },
            { "db.example.com ", 5432, "shop", "app" },
            { "", 5432, "shop", "app" },
            { "db.example.com", 5433, "shop", "app" },
            { "db.example.com", 5432, "shop2", "app" },
            { "db.example.com", 5432, "shop", "postgres" },
            { "db.example.com", 5432, "app", "shop" },
            { "db.example.com\0", 5432, "shop", "app" },
            { "db.example.com\",\"port\":5432,\"database\":\"shop", 5432, "shop", "app" },
        };

    [Theory]
    [MemberData(nameof(Secrets))]
    public void A_secret_comes_back_at_the_target_that_it_was_written_for(string secret)
    {
        var read = _secrets.Read(_secrets.Protect(secret, Here), Here with { });

        Assert.Equal(StoredSecretState.Bound, read.State);
        Assert.Equal(secret, read.Text);
    }

    [Theory]
    [MemberData(nameof(OtherTargets))]
    public void At_any_other_target_it_is_refused(string host, int port, string database, string username)
    {
        var elsewhere = new SecretTarget(host, port, database, username);

        AssertRefused(_secrets.Read(_secrets.Protect(Canary, Here), elsewhere), StoredSecretState.BoundElsewhere);
        AssertRefused(_secrets.Read(_secrets.Protect(Canary, elsewhere), Here), StoredSecretState.BoundElsewhere);
    }

    [Theory]
    [MemberData(nameof(Secrets))]
    public void A_password_alone_is_read_as_bound_to_nothing(string secret)
    {
        var read = _secrets.Read(Token(Encoding.UTF8.GetBytes(secret)), Here);

        Assert.Equal(StoredSecretState.Unbound, read.State);
        Assert.Equal(secret, read.Text);
        Assert.Equal(secret, read.ToSecret(acceptUnbound: true).Reveal());
        Assert.Throws<SecretDecryptionException>(() => read.ToSecret(acceptUnbound: false).Reveal());
    }

    /// <remarks>Who chooses a password that another program encrypts must not choose a target with it.</remarks>
    [Fact]
    public void No_password_that_somebody_chooses_is_taken_for_one_with_a_target()
    {
        var bound = SecretMessage.Write("x", Here);
        string[] chosen =
        [
            Encoding.Latin1.GetString(bound),
            "\u00FF\u0001" + Encoding.UTF8.GetString(bound.AsSpan(2)),
            "\uFEFF" + Encoding.UTF8.GetString(bound.AsSpan(2)),
            Encoding.UTF8.GetString(bound.AsSpan(2)),
        ];

        Assert.All(
            chosen,
            text =>
            {
                var read = _secrets.Read(Token(Encoding.UTF8.GetBytes(text)), Here);
                Assert.Equal(StoredSecretState.Unbound, read.State);
                Assert.Equal(text, read.Text);
            }
        );

        // The reason: the first byte of what we write is in no text at all.
        Span<byte> bytes = stackalloc byte[4];
        for (var rune = 0; rune <= 0x10FFFF; rune++)
        {
            if (Rune.IsValid(rune))
            {
                var count = new Rune(rune).EncodeToUtf8(bytes);
                Assert.False(bytes[..count].Contains(SecretMessage.Mark));
            }
        }
    }

    public static TheoryData<string> OddBodies =>
        [
            "",
            "null",
            "[]",
            "\"text\"",
            "{}",
            """{"host":"db.example.com","port":5432,"database":"shop","username":"app"}""",
            """{"host":"db.example.com","port":5432,"database":"shop","username":"app","password":null}""",
            """{"host":"db.example.com","port":5432,"database":"shop","username":"app","password":7}""",
            """{"host":"db.example.com","port":"5432","database":"shop","username":"app","password":"x"}""",
            """{"host":"db.example.com","port":99999999999,"database":"shop","username":"app","password":"x"}""",
            """{"host":"db.example.com","port":5432,"database":"shop","username":"app","password":"x","more":1}""",
            """{"host":"evil","host":"db.example.com","port":5432,"database":"shop","username":"app","password":"x"}""",
            """{"host":"db.example.com","port":5432,"database":"shop","username":"app","password":"\ud800"}""",
            """{"host":"db.example.com","port":5432,"database":"shop","username":"app","password":"x"} {}""",
        ];

    [Theory]
    [MemberData(nameof(OddBodies))]
    public void What_we_would_not_write_is_malformed_though_it_is_signed(string body) =>
        AssertRefused(
            _secrets.Read(Token([SecretMessage.Mark, SecretMessage.Version, .. Encoding.UTF8.GetBytes(body)]), Here),
            StoredSecretState.Malformed
        );

    [Fact]
    public void Another_form_of_a_later_version_is_told_apart()
    {
        AssertRefused(_secrets.Read(Token([0xFF, 2, 1, 2, 3]), Here), StoredSecretState.NewerForm);
        AssertRefused(_secrets.Read(Token([0xFF, 0, 1, 2, 3]), Here), StoredSecretState.Malformed);
        AssertRefused(_secrets.Read(Token([0xFF]), Here), StoredSecretState.Malformed);
        AssertRefused(_secrets.Read(Token([0xC3, 0x28]), Here), StoredSecretState.Malformed);
    }

    [Fact]
    public void The_same_secret_gives_another_token_each_time() =>
        Assert.NotEqual(_secrets.Protect(Canary, Here), _secrets.Protect(Canary, Here));

    [Fact]
    public void A_token_carries_the_time_of_the_clock_and_is_read_long_after()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UnixEpoch.AddSeconds(499162800));
        var token = new FernetSecrets(FernetKeys.Parse(Key), clock).Protect("hello", Here);

        Assert.StartsWith("gAAAAAAdwJ6w", token, StringComparison.Ordinal);
        Assert.Equal("hello", _secrets.Read(token, Here).Text);
    }

    [Fact]
    public void White_space_around_a_token_is_forgiven() =>
        Assert.Equal(Canary, _secrets.Read($" {_secrets.Protect(Canary, Here)}\r\n", Here).Text);

    [Fact]
    public void A_wrong_key_and_a_damaged_token_are_told_apart()
    {
        var token = Make(OtherKey).Protect(Canary, Here);

        AssertRefused(_secrets.Read(token, Here), StoredSecretState.OfAnotherKey);
        AssertRefused(_secrets.Read(token[..^4], Here), StoredSecretState.Malformed);
        AssertRefused(_secrets.Read("a password in clear", Here), StoredSecretState.Malformed);
        AssertRefused(_secrets.Read("", Here), StoredSecretState.Malformed);
        Assert.Equal(Canary, Make($"{Key},{OtherKey}").Read(token, Here).Text);
        Assert.Equal(1, Make($"{Key},{OtherKey}").FindKey(token));
    }

    [Fact]
    public void Each_refusal_says_what_to_do_and_holds_no_key_token_or_secret()
    {
        var foreign = Make(OtherKey).Protect(Canary, Here);
        var bound = _secrets.Protect(Canary, Here);
        var notText = Token([.. Encoding.UTF8.GetBytes(Canary), 0xC3, 0x28]);
        var elsewhere = Here with { Host = "other" };
        (Exception Fault, string Remedy)[] faults =
        [
            (Refusal(foreign, Here), "end of the list"),
            (Refusal(foreign[..^1], Here), "write it again"),
            (Refusal(Canary, Here), "Encrypt the secret"),
            (Refusal(notText, Here), "write it again"),
            (Refusal(bound, elsewhere), "connections set-password"),
            (Refusal(Token(Encoding.UTF8.GetBytes(Canary)), Here), "RefuseUnboundPasswords"),
            (Refusal(Token([0xFF, 9, .. Encoding.UTF8.GetBytes(Canary)]), Here), "Update this application"),
            (Assert.Throws<ArgumentException>(() => _secrets.Protect(Canary + '\uD800', Here)), "well-formed"),
            (
                Assert.Throws<ArgumentException>(() => _secrets.Protect(Canary, Here with { Host = "\uD800" })),
                "well-formed"
            ),
        ];

        foreach (var (fault, remedy) in faults)
        {
            Assert.Contains(remedy, fault.Message, StringComparison.Ordinal);
            foreach (var hidden in new[] { Canary, Key, OtherKey, foreign, foreign[..^1], notText, bound, "D800" })
            {
                Assert.DoesNotContain(hidden, fault.ToString(), StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Nothing_prints_what_it_holds()
    {
        Assert.Equal(typeof(FernetSecrets).FullName, _secrets.ToString());
        Assert.Equal(typeof(StoredSecret).FullName, new StoredSecret(StoredSecretState.Bound, Canary).ToString());
        Assert.Equal("app@db.example.com:5432/shop", Here.ToString());
    }

    [Fact]
    public void Many_threads_can_share_one() =>
        Parallel.For(
            0,
            2_000,
            i => Assert.Equal($"{Canary}{i}", _secrets.Read(_secrets.Protect($"{Canary}{i}", Here), Here).Text)
        );

    private static void AssertRefused(StoredSecret read, StoredSecretState state)
    {
        Assert.Equal(state, read.State);
        Assert.Null(read.Text);
        Assert.Throws<SecretDecryptionException>(() => read.ToSecret(acceptUnbound: true).Reveal());
    }

    private SecretDecryptionException Refusal(string token, SecretTarget target) =>
        Assert.Throws<SecretDecryptionException>(() =>
            _secrets.Read(token, target).ToSecret(acceptUnbound: false).Reveal()
        );

    private static string Token(byte[] message) =>
        Fernet.Encrypt(FernetKeys.Parse(Key).Primary, message, DateTimeOffset.UnixEpoch);

    private static FernetSecrets Make(string keys) => new(FernetKeys.Parse(keys), TimeProvider.System);
}
