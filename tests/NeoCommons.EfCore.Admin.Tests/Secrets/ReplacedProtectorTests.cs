using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Secrets;

/// <summary>An application may keep its keys elsewhere.</summary>
public sealed class ReplacedProtectorTests(TestServers servers)
{
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
