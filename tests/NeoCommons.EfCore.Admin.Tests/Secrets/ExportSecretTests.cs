using NeoCommons.EfCore.Admin.Tests.Provisioning;

namespace NeoCommons.EfCore.Admin.Tests.Secrets;

/// <summary>The program that exports a tenant gets the password where nobody sees it, and speaks as we do.</summary>
public sealed class ExportSecretTests(TestServers servers) : IDisposable
{
    private readonly string _program = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => File.Delete(_program);

    [Fact]
    public async Task The_export_is_told_which_authentication_a_server_may_ask_for_and_no_password_on_its_line()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("The program is a shell script.");
            return;
        }

        await File.WriteAllTextAsync(
            _program,
            "#!/bin/sh\necho \"auth $PGREQUIREAUTH, ${#PGPASSWORD} characters, line: $*\" >&2\nexit 1\n",
            Ct
        );
        File.SetUnixFileMode(_program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        await using var app = await Homes.StartAsync(
            servers,
            inAdminDatabase: false,
            settings: new Dictionary<string, string?>
            {
                ["NeoCommons:Lifecycle:PgDump"] = _program,
                ["NeoCommons:Connections:RequireAuth"] = "ScramSHA256, MD5",
            }
        );
        var acme = await app.CreateTenantAsync("acme", "home");
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);

        var failed = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme", ExportTo = _program + ".dump" }, Ct)
        );

        Assert.Contains("auth scram-sha-256,md5, ", failed.Message, StringComparison.Ordinal);
        Assert.Contains($"{servers.Postgres.Password.Length} characters", failed.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(servers.Postgres.Password, failed.Message, StringComparison.Ordinal);
    }
}
