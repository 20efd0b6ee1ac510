using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>EF's provider reads the connection string at each command: it is short, and says all that is not the driver's default.</summary>
public sealed class ConnectionStringTests
{
    private static readonly DatabaseConnection Row = new()
    {
        Name = "db",
        Host = "localhost",
        Database = "db",
        Username = "app",
        Password = Secret.FromText("not used"),
    };

    // Those of the driver, where they can be had.
    private static readonly DatabaseConnection DriversRow = Row with
    {
        MinPoolSize = 0,
        MaxPoolSize = 100,
        PoolTimeout = TimeSpan.FromSeconds(15),
        PoolRecycle = TimeSpan.FromHours(1),
    };

    private static readonly DatabaseConnection OtherRow = Row with
    {
        Port = 5433,
        MinPoolSize = 3,
        MaxPoolSize = 7,
        PoolTimeout = TimeSpan.FromSeconds(9),
        PoolRecycle = TimeSpan.FromMinutes(3),
    };

    [Theory]
    [InlineData(false, SessionReset.Always)]
    [InlineData(false, SessionReset.WhenUsed)]
    [InlineData(true, SessionReset.Always)]
    [InlineData(true, SessionReset.WhenUsed)]
    public void What_is_left_out_is_the_drivers_default(bool isOther, SessionReset reset)
    {
        var row = isOther ? OtherRow : DriversRow;
        var options = new ConnectionOptions { SessionReset = reset };
        if (isOther)
        {
            (options.IdleLifetime, options.PruningInterval) = (TimeSpan.FromMinutes(7), TimeSpan.FromSeconds(5));
            (options.MaxPreparedStatements, options.PrepareAfterUses) = (17, 2);
        }

        using var pool = new PooledDataSource(
            row,
            options,
            NullLoggerFactory.Instance,
            TimeProvider.System,
            ownsReset: reset == SessionReset.WhenUsed
        );
        var text = pool.Source.ConnectionString;
        var settings = new NpgsqlConnectionStringBuilder(text);

        Assert.Equal((row.Host, row.Port, row.Database), (settings.Host, settings.Port, settings.Database));
        Assert.Equal((row.MinPoolSize, row.MaxPoolSize), (settings.MinPoolSize, settings.MaxPoolSize));
        Assert.Equal(row.PoolTimeout.TotalSeconds, settings.Timeout);
        Assert.Equal(row.PoolRecycle.TotalSeconds, settings.ConnectionLifetime);
        Assert.Equal(options.IdleLifetime.TotalSeconds, settings.ConnectionIdleLifetime);
        Assert.Equal(options.PruningInterval.TotalSeconds, settings.ConnectionPruningInterval);
        Assert.Equal(options.MaxPreparedStatements, settings.MaxAutoPrepare);
        Assert.Equal(options.PrepareAfterUses, settings.AutoPrepareMinUsages);
        Assert.Equal((true, false), (settings.Pooling, settings.PersistSecurityInfo));
        Assert.Equal((true, 30, 10), (settings.TcpKeepAlive, settings.TcpKeepAliveTime, settings.TcpKeepAliveInterval));
        Assert.Equal(GssEncryptionMode.Disable, settings.GssEncryptionMode);
        Assert.Equal((row.SslMode, options.RequireAuth), (settings.SslMode, settings.RequireAuth));
        Assert.Equal(SchemaName.Unbound, settings.SearchPath);
        Assert.Equal(reset == SessionReset.Always, settings.Enlist);
        Assert.Equal(reset == SessionReset.WhenUsed, settings.NoResetOnClose);
        Assert.Equal(reset == SessionReset.WhenUsed, text.StartsWith("Enlist=False;", StringComparison.Ordinal));
        var defaults = new NpgsqlConnectionStringBuilder();
        Assert.DoesNotContain(
            settings.Keys,
            keyword => settings[keyword] is int or bool && settings[keyword].Equals(defaults[keyword])
        );
    }
}
