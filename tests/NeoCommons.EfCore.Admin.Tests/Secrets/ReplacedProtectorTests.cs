using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Secrets;

/// <summary>An application may keep its keys elsewhere.</summary>
public sealed class ReplacedProtectorTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_replaced_secret_protector_reads_the_rows()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
            {
                b.Services.AddSingleton<ISecretProtector, Vault>();
                b.AddTenantDbContext<ShopDbContext>();
            }
        );
        Assert.Equal(TenantStatus.Active, (await app.CreateTenantAsync("acme")).Status);
        Assert.StartsWith(
            "vault:",
            (string?)await app.AdminAsync("SELECT encrypted_password FROM admin.database_connections")
        );
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task One_that_hangs_holds_up_no_change_and_no_start(bool isBlocking)
    {
        using var vault = new HangingVault(isBlocking);
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 3,
            new Dictionary<string, string?> { ["NeoCommons:AdminDatabase:RefreshInterval"] = "01:00:00" },
            b => b.Services.AddSingleton<ISecretProtector>(vault)
        );
        var acme = (await app.AdoptAsync("acme"))[0];
        await app.ReloadAsync();
        var (tenants, registry) = (app.Get<ITenantStore>(), app.Get<IConnectionRegistry>());
        Assert.Equal(TenantStatus.Active, (await tenants.FindAsync(acme.Id, Ct))!.Status);
        vault.Hang();

        await app.AdminAsync(
            "UPDATE admin.database_connections SET pool_max_size = 7; UPDATE admin.tenants SET status = 'suspended'"
        );

        await Eventually.EqualAsync(7, async () => (await registry.FindAsync("db3", Ct))!.MaxPoolSize);
        Assert.Equal(TenantStatus.Suspended, (await tenants.FindAsync(acme.Id, Ct))!.Status);

        // What was known is in force: the vault has not said that it is wrong.
        await using var connection = await app.Databases.OpenConnectionAsync("db1", Ct);
        using var other = TestApp.BuildHost(
            servers.Postgres,
            "unused",
            new Dictionary<string, string?>
            {
                ["ADMIN_DATABASE_URL"] = app.AdminConnectionString,
                ["NeoCommons:AdminDatabase:RefreshInterval"] = "00:00:00.2",
            },
            b => b.Services.AddSingleton<ISecretProtector>(vault)
        );
        await other.StartAsync(Ct).WaitAsync(TimeSpan.FromMinutes(1), Ct);
        var unread = await Assert.ThrowsAsync<SecretDecryptionException>(() =>
            other.Services.GetRequiredService<IDatabaseConnections>().OpenConnectionAsync("db1", Ct).AsTask()
        );
        Assert.Contains("HangingVault", unread.Message, StringComparison.Ordinal);
        vault.Answer();
        await Eventually.TrueAsync(async () =>
            (await other.Services.GetRequiredService<IConnectionRegistry>().FindAsync("db1", Ct))!.Password.Fault
                is null
        );
        await other.StopAsync(Ct);
    }

    [Fact]
    public async Task What_one_did_not_answer_is_asked_again_and_nothing_else_is()
    {
        var vault = new RefusingVault();
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            databases: 2,
            new Dictionary<string, string?> { ["NeoCommons:AdminDatabase:RefreshInterval"] = "00:00:00.1" },
            b => b.Services.AddSingleton<ISecretProtector>(vault)
        );
        var database = (string)
            (
                await app.AdminAsync(
                    "SELECT database_name FROM admin.database_connections WHERE connection_name = 'db1'"
                )
            )!;
        vault.Refuse(database);
        await app.ReloadAsync();
        var before = vault.Asked;

        await Eventually.TrueAsync(() => vault.Refused >= 3);

        Assert.Equal(before, vault.Asked);
    }

    /// <summary>A service that is overloaded for one key, and has others.</summary>
    private sealed class RefusingVault : ISecretProtector
    {
        private readonly Vault _vault = new();
        private volatile string? _refused;
        private int _asked;
        private int _timesRefused;

        public int Asked => Volatile.Read(ref _asked);

        public int Refused => Volatile.Read(ref _timesRefused);

        public void Refuse(string database) => _refused = database;

        public ValueTask<string> ProtectAsync(string secret, SecretTarget target, CancellationToken ct) =>
            _vault.ProtectAsync(secret, target, ct);

        public ValueTask<string> UnprotectAsync(string token, SecretTarget target, CancellationToken ct)
        {
            if (target.Database == _refused)
            {
                Interlocked.Increment(ref _timesRefused);
                throw new HttpRequestException("429");
            }

            Interlocked.Increment(ref _asked);
            return _vault.UnprotectAsync(token, target, ct);
        }
    }

    private sealed class HangingVault(bool isBlocking) : ISecretProtector, IDisposable
    {
        private readonly Vault _vault = new();
        private readonly ManualResetEventSlim _answers = new(true);
        private readonly TaskCompletionSource _answered = new();

        public void Hang() => _answers.Reset();

        public ValueTask<string> ProtectAsync(string secret, SecretTarget target, CancellationToken ct) =>
            _vault.ProtectAsync(secret, target, ct);

        public async ValueTask<string> UnprotectAsync(string token, SecretTarget target, CancellationToken ct)
        {
            if (isBlocking)
            {
                _answers.Wait(CancellationToken.None);
            }
            else if (!_answers.IsSet)
            {
                await _answered.Task;
            }

            return await _vault.UnprotectAsync(token, target, ct);
        }

        public void Answer()
        {
            _answers.Set();
            _answered.TrySetResult();
        }

        public void Dispose() => Answer();
    }

    private sealed class Vault : ISecretProtector
    {
        public ValueTask<string> ProtectAsync(string secret, SecretTarget target, CancellationToken ct) =>
            ValueTask.FromResult("vault:" + Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(secret)));

        public ValueTask<string> UnprotectAsync(string token, SecretTarget target, CancellationToken ct) =>
            ValueTask.FromResult(
                System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(token["vault:".Length..]))
            );
    }
}
