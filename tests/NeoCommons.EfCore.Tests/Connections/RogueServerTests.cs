using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A host that is not who it should be never gets the password, nor what it could be found from.</summary>
public sealed class RogueServerTests(TestServers servers)
{
    private const string Canary = "canary-2f81b0";
    private const string User = "app";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(SslMode.Disable)]
    [InlineData(SslMode.Prefer)]
    public async Task It_gets_no_password_in_clear(SslMode mode)
    {
        await using var rogue = RogueServer.AskingInClear();
        await AssertNothingIsToldAsync(rogue, mode);
    }

    [Fact]
    public async Task It_gets_no_MD5_of_the_password()
    {
        await using var rogue = RogueServer.AskingForMd5();
        await AssertNothingIsToldAsync(rogue, SslMode.Disable);
    }

    [Fact]
    public async Task It_gets_no_password_in_clear_behind_TLS_whose_certificate_nobody_verifies()
    {
        await using var rogue = RogueServer.AskingInClearOverTls();
        await AssertNothingIsToldAsync(rogue, SslMode.Require);
    }

    [Fact]
    public async Task It_hears_no_name_where_its_certificate_is_verified()
    {
        await using var rogue = RogueServer.AskingInClearOverTls();
        await AssertRefusedAsync(rogue, SslMode.VerifyFull, ConnectionUnavailableReason.Unreachable);
        Assert.Equal(0, rogue.Clients);
        Assert.False(Contains(rogue.Heard, Encoding.UTF8.GetBytes(User)));
    }

    [Fact]
    public async Task It_is_not_trusted_because_it_asks_for_nothing()
    {
        await using var rogue = RogueServer.LettingAllIn();
        await AssertNothingIsToldAsync(rogue, SslMode.Disable);
    }

    [Fact]
    public async Task It_hears_nothing_at_all_where_TLS_is_required()
    {
        await using var rogue = RogueServer.AskingInClear();
        await AssertRefusedAsync(rogue, SslMode.Require, ConnectionUnavailableReason.Unreachable);
        Assert.Equal(0, rogue.Clients);
    }

    /// <remarks>
    /// A second handshake doubles each wrong password, and after a time-out it would read without one: Npgsql retries
    /// without GSS encryption, with what is left of the timeout rounded down to whole milliseconds, and 0 means for ever.
    /// </remarks>
    [Fact]
    public async Task A_handshake_that_fails_is_not_repeated()
    {
        await using var rogue = RogueServer.AskingInClear();
        await AssertRefusedAsync(rogue, SslMode.Disable);
        Assert.Equal(1, rogue.Clients);
    }

    [Theory]
    [InlineData("Password", SslMode.Disable)]
    [InlineData("Password", SslMode.Require)]
    [InlineData("MD5", SslMode.Disable)]
    public async Task The_rogue_servers_of_these_tests_would_hear_a_password_that_is_sent(string method, SslMode mode)
    {
        await using var rogue =
            method == "MD5" ? RogueServer.AskingForMd5()
            : mode == SslMode.Require ? RogueServer.AskingInClearOverTls()
            : RogueServer.AskingInClear();
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:RequireAuth"] = method }
        );
        app.Registry.Set(Row(rogue, mode));

        var opening = app.Connections.OpenConnectionAsync("rogue", Ct).AsTask();
        await Eventually.TrueAsync(() => Secrets().Any(secret => Contains(rogue.Heard, secret)));

        rogue.HangUp();
        await Assert.ThrowsAsync<ConnectionUnavailableException>(() => opening);
    }

    private static async Task AssertRefusedAsync(RuntimeApp app, ConnectionUnavailableReason reason)
    {
        var refused = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await app.Connections.OpenConnectionAsync("rogue", Ct)
        );
        var remedy = reason == ConnectionUnavailableReason.AuthenticationFailed ? "RequireAuth" : "ssl_mode";
        Assert.Equal(reason, refused.Reason);
        Assert.Contains(remedy, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Canary, refused.ToString(), StringComparison.Ordinal);
    }

    private static DatabaseConnection Row(RogueServer rogue, SslMode mode) =>
        new()
        {
            Name = "rogue",
            Host = "127.0.0.1",
            Port = rogue.Port,
            Database = "shop",
            Username = User,
            Password = Secret.FromText(Canary),
            SslMode = mode,
            PoolTimeout = TimeSpan.FromSeconds(4),
        };

    private static bool Contains(byte[] heard, byte[] secret) => heard.AsSpan().IndexOf(secret) >= 0;

    private static IEnumerable<byte[]> Secrets()
    {
        yield return Encoding.UTF8.GetBytes(Canary);
        var inner = Convert.ToHexStringLower(MD5.HashData(Encoding.UTF8.GetBytes(Canary + User)));
        yield return Encoding.UTF8.GetBytes(inner);
        yield return Encoding.UTF8.GetBytes(
            Convert.ToHexStringLower(MD5.HashData([.. Encoding.UTF8.GetBytes(inner), .. RogueServer.Salt]))
        );
    }

    private async Task AssertNothingIsToldAsync(RogueServer rogue, SslMode mode)
    {
        await AssertRefusedAsync(rogue, mode);

        Assert.NotEqual(0, rogue.Clients);
        Assert.True(Contains(rogue.Heard, Encoding.UTF8.GetBytes(User)));
        Assert.All(Secrets(), secret => Assert.False(Contains(rogue.Heard, secret)));
        Assert.False(Contains(rogue.Heard, "md5"u8.ToArray()));
    }

    private async Task AssertRefusedAsync(
        RogueServer rogue,
        SslMode mode,
        ConnectionUnavailableReason reason = ConnectionUnavailableReason.AuthenticationFailed
    )
    {
        await using var app = new RuntimeApp(servers.Postgres);
        app.Registry.Set(Row(rogue, mode));
        await AssertRefusedAsync(app, reason);
    }
}
