namespace NeoCommons.EfCore.Benchmarks.Queries;

// The names of the ways.
internal sealed partial class Peers
{
    /// <summary>The way without tenants, of which all ratios are.</summary>
    public const string Limit = "EF, pooled contexts, one schema";

    /// <summary>The same with a pool of its own: how far its ratio is from one tells how exact the others are.</summary>
    public const string LimitAgain = Limit + ", once more";

    public const string LimitWithoutReset = Limit + ", no reset";
    public const string LimitPrepared = LimitWithoutReset + ", auto-prepare";

    /// <summary>The limit of those that make a context each time.</summary>
    public const string LimitUnpooled = "EF, one schema";

    public const string Npgsql = "Npgsql, one schema";
    public const string NpgsqlWithoutReset = Npgsql + ", no reset, auto-prepare";
    public const string NpgsqlAll = "Npgsql, all schemas, names written out";
    public const string NpgsqlPrepared = NpgsqlAll + ", prepared, no reset";
    public const string SetUnpooled = "SET when opened";
    public const string Set = SetUnpooled + ", pooled contexts";
    public const string DataSources = "data source per tenant";
    public const string DataSourcesPrepared = DataSources + ", no reset, auto-prepare";
    public const string Models = "model per schema, EF's cache";
    public const string OwnModels = "model per schema, a cache of its own";
    public const string Shared = "shared table and filter, pooled contexts";
    public const string SharedPrepared = Shared + ", no reset, auto-prepare";
    public const string SearchPathUnpooled = "ours: SearchPath";
    public const string SearchPath = "ours: SearchPath, pooled contexts";
    public const string Delivered = SearchPath + ", as delivered";
    public const string NamesUnpooled = "ours: QualifiedNames";
    public const string Names = "ours: QualifiedNames, pooled contexts";
    public const string NamesWithoutReset = Names + ", WhenUsed";
    public const string Fastest = NamesWithoutReset + ", auto-prepare";
    public const string FastestOfMany = NamesWithoutReset + ", prepared at the first use";
}
