using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

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

    [Fact]
    public async Task A_source_that_hangs_is_given_up_asked_again_and_asked_once_for_all_who_wait()
    {
        var time = new FakeTimeProvider();
        var source = new HangingSource();
        var keys = new EncryptionKeys(source, time);
        using var impatient = new CancellationTokenSource();
        var (first, second) = (keys.GetAsync(Ct).AsTask(), keys.GetAsync(Ct).AsTask());
        var third = keys.GetAsync(impatient.Token).AsTask();
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => third);
        await Eventually.EqualAsync(1, () => Task.FromResult(source.Asked));

        time.Advance(TimeSpan.FromSeconds(30));

        var failure = await Assert.ThrowsAsync<TimeoutException>(() => first);
        Assert.Contains("HangingSource gave no encryption keys within 30 s", failure.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<TimeoutException>(() => second);
        source.Answer.SetResult(_key);
        Assert.NotNull(await keys.GetAsync(Ct));
        Assert.Equal(2, source.Asked);
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

    private sealed class HangingSource : IEncryptionKeySource
    {
        private int _asked;

        public int Asked => Volatile.Read(ref _asked);

        public TaskCompletionSource<string> Answer { get; } = new();

        public ValueTask<string> ReadAsync(CancellationToken ct = default)
        {
            Interlocked.Increment(ref _asked);
            return new(Answer.Task);
        }
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
