using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin.Tests.Secrets;

/// <summary>The key comes from the configuration, from a file that nobody else reads, or from a source of the application.</summary>
public sealed class EncryptionKeySourceTests(TestServers servers) : IDisposable
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
    private readonly string _key = TestApp.NewKey();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => File.Delete(_file);

    [Fact]
    public async Task A_file_of_its_owner_holds_the_key()
    {
        Write(UnixFileMode.UserRead | UnixFileMode.UserWrite, _key + "\n");

        await using var app = await BoundApp.StartAsync(servers, databases: 1, FromFile());

        await using var connection = await app.Databases.OpenConnectionAsync("db1", Ct);
        Assert.Equal(StoredSecretState.Bound, (await BoundApp.ReadAsync(app, "db1", _key)).State);
    }

    [Theory]
    [InlineData(UnixFileMode.GroupRead)]
    [InlineData(UnixFileMode.GroupWrite)]
    [InlineData(UnixFileMode.OtherRead)]
    [InlineData(UnixFileMode.OtherWrite)]
    [InlineData(UnixFileMode.GroupRead | UnixFileMode.OtherRead)]
    public async Task A_file_that_others_may_use_stops_the_start(UnixFileMode others)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has other rights.");
        Write(UnixFileMode.UserRead | UnixFileMode.UserWrite | others, _key);
        using var host = TestApp.BuildHost(servers.Postgres, "unused", FromFile());

        var stopped = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(Ct));

        Assert.Contains("chmod 600", stopped.Message, StringComparison.Ordinal);
        Assert.Contains(_file, stopped.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(_key, stopped.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, null, "cannot be read")]
    [InlineData("no key", null, "key 1 has 6 characters")]
    [InlineData("", null, "is not set")]
    [InlineData("key", "key", "both set")]
    public async Task A_file_that_gives_no_key_stops_the_start(string? content, string? key, string message)
    {
        if (content is not null)
        {
            Write(UnixFileMode.UserRead, content);
        }

        var settings = FromFile();
        settings["DB_ENCRYPTION_KEY"] = key;
        using var host = TestApp.BuildHost(servers.Postgres, "unused", settings);

        var stopped = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(Ct));

        Assert.Contains(message, stopped.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_source_of_the_application_is_asked_once_and_nothing_need_stand_in_the_configuration()
    {
        var service = new KeyService { Answer = _key };

        await using var app = await BoundApp.StartAsync(
            servers,
            databases: 2,
            new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = null },
            b => Use(b, service)
        );

        await using var connection = await app.Databases.OpenConnectionAsync("db1", Ct);
        await app.ReloadAsync();
        Assert.Equal(1, service.Asked);
        Assert.Equal(StoredSecretState.Bound, (await BoundApp.ReadAsync(app, "db1", _key)).State);
    }

    [Fact]
    public async Task A_source_that_fails_or_gives_no_key_stops_the_start_and_is_asked_again()
    {
        var service = new KeyService { Answer = null };
        var admin = await servers.Postgres.CreateDatabaseAsync(ct: Ct);
        using var host = TestApp.BuildHost(
            servers.Postgres,
            admin,
            new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = null },
            b => Use(b, service)
        );

        await Assert.ThrowsAsync<TimeoutException>(() => host.StartAsync(Ct));
        service.Answer = "too-short-to-be-a-key";
        var malformed = await Assert.ThrowsAsync<FormatException>(() => host.StartAsync(Ct));
        Assert.DoesNotContain(service.Answer, malformed.ToString(), StringComparison.Ordinal);
        service.Answer = _key;
        await host.StartAsync(Ct);
        await host.StopAsync(Ct);
        Assert.Equal(3, service.Asked);
    }

    private Dictionary<string, string?> FromFile() =>
        new() { ["DB_ENCRYPTION_KEY"] = null, ["DB_ENCRYPTION_KEY_FILE"] = _file };

    private void Write(UnixFileMode mode, string content)
    {
        File.WriteAllText(_file, content);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_file, mode);
        }
    }

    private static void Use(NeoCommonsBuilder builder, KeyService service)
    {
        builder.Services.AddSingleton(service);
        builder.UseEncryptionKeys<KeyServiceSource>();
    }

    private sealed class KeyService
    {
        public string? Answer { get; set; }

        public int Asked { get; set; }
    }

    private sealed class KeyServiceSource(KeyService service) : IEncryptionKeySource
    {
        public async ValueTask<string> ReadAsync(CancellationToken ct = default)
        {
            await Task.Yield();
            service.Asked++;
            return service.Answer ?? throw new TimeoutException("The key service does not answer.");
        }
    }
}
